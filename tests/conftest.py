"""What the tests share: a seed, tiny vectors, and a slice of the real reviews."""

import numpy as np
import pandas as pd
import pytest
import torch

from sentiment_helpers import Glove, load_reviews


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def glove() -> Glove:
    words = ["good", "film", "bad", "dull", "not", "n't"]
    vectors = np.array(
        [[1, 0, 1], [0, 1, 0], [-1, 0, 1], [-1, 0.5, 0], [0, -1, 0], [0, -1, 0.5]], np.float32
    )
    return Glove("tiny", words, vectors)


@pytest.fixture(scope="session")
def reviews() -> pd.DataFrame:
    """2,000 of the bundled reviews, both classes mixed."""
    return load_reviews("bundled").sample(2000, random_state=0).reset_index(drop=True)


@pytest.fixture(scope="session")
def rated_file(reviews, tmp_path_factory):
    """The same as a tab-separated file with ratings, named like the course's."""
    path = tmp_path_factory.mktemp("reviews") / "imdb-reviews.csv"
    table = pd.DataFrame({"url": "u", "rating": reviews["label"] * 6.0 + 2})
    table.assign(review=reviews["review"]).to_csv(path, sep="\t", index=False)
    return path
