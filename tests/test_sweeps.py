"""Scikit-learn's search on a pipeline from raw texts, on a cluster."""

import ast
import subprocess
import sys

import pytest

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
