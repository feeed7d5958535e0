"""Tables scored by a plain function, in this process and on a cluster's."""

import ast
import os
import pickle
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from sentiment_helpers import load, save, score_partition, scoring

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "RNN-report.pt"


@pytest.fixture
def table(reviews):
    reviews = reviews.set_index(pd.Index([7] * len(reviews)))  # a label says nothing of the row
    return reviews.assign(id=[f"{n:05}" for n in range(len(reviews))])[:40]


def test_a_copy_with_two_more_columns(table):
    table.iloc[[3, 5, 8], 0] = [None, " ", ""]
    before = table.copy()
    scored = score_partition(table, MODEL)
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(scored[table.columns], before)
    there = np.isin(np.arange(40), [3, 5, 8], invert=True)
    expected = load(MODEL).predict_proba(table["review"][there].tolist())[:, 1]
    assert scored["probability"].to_numpy()[there] == pytest.approx(expected, abs=1e-6)
    assert scored["probability"].isna().sum() == scored["prediction"].isna().sum() == 3
    assert (scored["prediction"][there] == (expected > 0.5)).all()
    none = score_partition(table[:0].rename(columns={"review": "text"}), MODEL, "text")
    assert [*map(str, scored.dtypes[-2:])] == [*map(str, none.dtypes[-2:])] == ["float64", "Int64"]


def test_a_model_file_that_is_replaced(table, tmp_path, monkeypatch):
    """It is loaded once, and again where it holds another model, of the same size and date."""
    models = [load(MODEL), load(MODEL)]
    with torch.no_grad():
        next(models[1][-1].network_.parameters()).mul_(-1)
    scored, path = [], Path("mine.pt")
    for model, folder in zip([*models, models[0]], ["one", "one", "two"], strict=True):
        save(model, new := tmp_path / folder / "new.pt")
        monkeypatch.chdir(new.parent)
        os.utime(new, (1e9, 1e9))
        new.replace(path)
        count = scoring._kept.cache_info().misses
        scored.append([score_partition(table, path)["probability"] for _ in range(2)])
        assert scoring._kept.cache_info().misses == count + 1
        assert (scored[-1][1] == scored[-1][0]).all()
    assert [one[0].equals(scored[0][0]) for one in scored] == [True, False, True]


def test_refused(table):
    twice = pd.concat([table, table["review"]], axis=1)
    for other, column, says in [
        (table, "text", "no columns are named text: the table has review, label, id"),
        (twice, "review", "2 columns are named review"),
        (table.assign(prediction=1), "review", "already a column named prediction"),
    ]:
        with pytest.raises(ValueError, match=says):
            score_partition(other, MODEL, column)


def test_as_spark_calls_it(table):
    """With an iterator of tables, by a pickled copy; the answer fits the schema in the README."""
    table.iloc[3, 0] = None
    score = pickle.loads(pickle.dumps(partial(score_partition, model=MODEL)))
    scored = list(map(score, iter([table[:10], table[10:]])))
    assert [len(some) for some in scored] == [10, 30]
    schema = pa.schema({"review": "string", "label": "int64", "id": "string",
                        "probability": "float64", "prediction": "int64"})  # fmt: skip
    for some in scored:
        assert pa.Table.from_pandas(some, schema, preserve_index=False).num_rows == len(some)


@pytest.mark.slow
def test_the_readmes_cluster(reviews, tmp_path):
    """The README's example, word for word but for a smaller model, on two worker processes."""
    section = (ROOT / "README.md").read_text("utf-8").split("**Many files of reviews**")[1]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    parts = [reviews[start : start + 50].assign(n="007", note="NA") for start in range(0, 400, 50)]
    for number, part in enumerate(parts):
        part.to_csv(tmp_path / f"reviews-{number}.csv", index=False)
    count = "__import__('sentiment_helpers').scoring._kept.cache_info().misses"
    code = code.replace("models/RNN.pt", str(MODEL))
    code += f"        print(Client.current().run(lambda: {count}))\n"
    (tmp_path / "score.py").write_text(code, "utf-8")
    ran = subprocess.run(
        [sys.executable, "score.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    loads = ast.literal_eval(ran.stdout)
    assert list(loads.values()) == [1, 1]  # both scored, with a model loaded once
    for number, part in enumerate(parts):
        scored = pd.read_csv(tmp_path / f"scored-{number}.csv", dtype=str, keep_default_na=False)
        expected = score_partition(part.astype(str), MODEL)
        pd.testing.assert_frame_equal(scored[part.columns], part.reset_index(drop=True).astype(str),
                                      check_dtype=False)  # fmt: skip
        assert scored["probability"].astype(float).to_numpy() == pytest.approx(
            expected["probability"].to_numpy(), abs=1e-6
        )
