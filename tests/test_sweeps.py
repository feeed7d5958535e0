"""Scikit-learn's own tools on a pipeline from raw texts; the same grid on a cluster."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import make_pipeline

from sentiment_helpers import BiRNNClassifier, MeanEmbedding, load_glove

README = Path(__file__).parents[1] / "README.md"
CELLS = {"birnnclassifier__cell_type": ["rnn", "gru"]}


@pytest.fixture
def texts(reviews):
    return reviews["review"][:200], reviews["label"][:200]


@pytest.fixture
def model():
    quick = BiRNNClassifier(num_layers=1, hidden_size=4, lr=0.02, max_epochs=3, batch_size=16)
    return make_pipeline(MeanEmbedding(load_glove()), quick)


def test_cross_val_score(model, texts):
    scores = cross_val_score(model, *texts, cv=2)
    assert scores.shape == (2,)
    assert all(0.4 < score <= 1 for score in scores)


def test_grid_search(model, texts):
    search = GridSearchCV(model, CELLS, cv=2).fit(*texts)
    assert search.predict(texts[0]).shape == (200,)
    assert search.best_params_["birnnclassifier__cell_type"] in ("rnn", "gru")


def test_randomized_search_in_two_processes(model, texts):
    """Each candidate has the same scores in worker processes as in this one."""
    layers = {"birnnclassifier__num_layers": [1, 2, 3]}
    alone, shared = (
        RandomizedSearchCV(model, layers, n_iter=2, cv=2, random_state=0, n_jobs=jobs).fit(*texts)
        for jobs in (1, 2)
    )
    assert (
        alone.cv_results_["mean_test_score"].tolist()
        == shared.cv_results_["mean_test_score"].tolist()
    )


def test_learning_curve(model, texts):
    sizes, train_scores, _ = learning_curve(model, *texts, train_sizes=[0.5, 1.0], cv=2)
    assert sizes.tolist() == [50, 100]
    assert train_scores.shape == (2, 2)


def test_voting(model, texts):
    linear = make_pipeline(MeanEmbedding(load_glove()), LogisticRegression())
    vote = VotingClassifier([("network", model), ("linear", linear)], voting="soft").fit(*texts)
    parts = [fitted.predict_proba(texts[0]) for fitted in vote.estimators_]
    assert vote.predict_proba(texts[0]) == pytest.approx((parts[0] + parts[1]) / 2)


def test_the_readmes_cluster(tmp_path):
    """The README's example, word for word but for less data, on two worker processes."""
    section = README.read_text("utf-8").split("## Bigger than one machine")[1]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    counts = "lambda dask_worker: dask_worker.state.executed_count"
    changes = {  # fewer reviews and epochs, and a count of what each worker process ran
        'load_reviews("bundled")': 'load_reviews("bundled")[::100]',
        "BiRNNClassifier(": "BiRNNClassifier(max_epochs=2, ",
        "    print(": f"        print(Client.current().run({counts}))\n    print(",
    }
    for written, instead in changes.items():
        assert code.count(written) == 1
        code = code.replace(written, instead)
    script = tmp_path / "sweep.py"
    script.write_text(code, "utf-8")
    printed = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert printed.returncode == 0, printed.stderr
    executed = ast.literal_eval(printed.stdout.splitlines()[0])
    assert len(executed) == 2
    assert all(count > 0 for count in executed.values())
    assert "birnnclassifier__cell_type" in printed.stdout
