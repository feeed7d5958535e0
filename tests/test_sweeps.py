"""Scikit-learn's own tools on a pipeline from raw texts; the same grid on a cluster."""

import ast
import subprocess
import sys

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

CELLS = {"birnnclassifier__cell_type": ["rnn", "gru"]}


@pytest.fixture
def texts(reviews):
    return reviews["review"][:200], reviews["label"][:200]


@pytest.fixture(scope="module")
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


@pytest.mark.slow
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
    linear = make_pipeline(model[0], LogisticRegression())
    vote = VotingClassifier([("network", model), ("linear", linear)], voting="soft").fit(*texts)
    parts = [fitted.predict_proba(texts[0]) for fitted in vote.estimators_]
    assert vote.predict_proba(texts[0]) == pytest.approx((parts[0] + parts[1]) / 2)


SEARCH_ON_DASK = """
import joblib
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sentiment_helpers import BiRNNClassifier, MeanEmbedding, load_glove, load_reviews

if __name__ == "__main__":
    reviews = load_reviews("bundled")[::100]
    model = make_pipeline(MeanEmbedding(load_glove()), BiRNNClassifier(max_epochs=2))
    grid = {"birnnclassifier__cell_type": ["lstm", "gru"], "birnnclassifier__lr": [1e-4, 1e-3]}
    search = GridSearchCV(model, grid, cv=3)
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster:
        with Client(cluster) as client, joblib.parallel_config(backend="dask"):
            search.fit(reviews["review"], reviews["label"])
            print(client.run(lambda dask_worker: dask_worker.state.executed_count))
    print(search.best_params_)
"""


@pytest.mark.slow
def test_dask_runs_a_search(tmp_path):
    """As the README says: both worker processes train."""
    script = tmp_path / "search.py"
    script.write_text(SEARCH_ON_DASK, "utf-8")
    printed = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert printed.returncode == 0, printed.stderr
    executed = ast.literal_eval(printed.stdout.splitlines()[0])
    assert len(executed) == 2
    assert all(count > 0 for count in executed.values())
    assert "birnnclassifier__cell_type" in printed.stdout
