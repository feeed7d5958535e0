"""Scikit-learn's own tools on a pipeline from raw texts; the same grid on a cluster."""

import ast
import subprocess
import sys

import pytest
from sklearn.model_selection import GridSearchCV, learning_curve
from sklearn.pipeline import make_pipeline

from sentiment_helpers import BiRNNClassifier, MeanEmbedding, load_glove


def test_grid_search_and_learning_curve(reviews):
    texts = reviews["review"][:200], reviews["label"][:200]
    quick = BiRNNClassifier(num_layers=1, hidden_size=4, lr=0.02, max_epochs=3, batch_size=16)
    model = make_pipeline(MeanEmbedding(load_glove()), quick)
    search = GridSearchCV(model, {"birnnclassifier__cell_type": ["rnn", "gru"]}, cv=2).fit(*texts)
    assert search.predict(texts[0]).shape == (200,)
    assert all(0.4 < score <= 1 for score in search.cv_results_["mean_test_score"])
    sizes, train_scores, _ = learning_curve(model, *texts, train_sizes=[0.5, 1.0], cv=2)
    assert sizes.tolist() == [50, 100]
    assert train_scores.shape == (2, 2)


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
