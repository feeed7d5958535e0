"""A file in, the same file with two more columns out; texts and their counts."""

import csv
import gzip
import os
import re
import zipfile
from threading import Thread, active_count, get_ident

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sentiment_helpers as sh
from sentiment_helpers import batches, evaluate, score_csv, score_partition, scoring
from sentiment_helpers.saving import CheckpointError
from sentiment_helpers.scoring import score_texts
from sentiment_helpers.tables import ReviewFileError


@pytest.fixture(scope="module")
def model(reviews, frequent_words):
    model = make_pipeline(
        sh.MeanEmbedding(frequent_words), sh.BiRNNClassifier(lr=0.003, max_epochs=5)
    )
    return model.fit(reviews["review"][:1000], reviews["label"][:1000])


def read(path, **options):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, **options))


@pytest.mark.parametrize("size", [1, 2, 1024])
def test_all_columns_and_rows_in_order(model, tmp_path, monkeypatch, size):
    monkeypatch.setattr(scoring, "PART_ROWS", size)
    rows = [
        ["id", "review", "rating", "note"],
        ["007", "A wonderful, moving film", "9", "NA"],
        ["2026-01-01", "", "2", ""],
        ["12345678901234567890", 'Dull\nand "bad"\tthroughout', "1.0", " x "],
        ["", "zzzz", "5", "1e3"],
        ["\\n", "fine\r", "unreadable", "é 😀"],
    ]
    with (tmp_path / "in.tsv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(rows)
    report = score_csv(model, tmp_path / "in.tsv", tmp_path / "out.tsv")
    assert (report.rows, report.scored) == (5, 4)
    scored = read(tmp_path / "out.tsv", delimiter="\t")
    assert [row[:4] for row in scored] == rows
    assert scored[0][4:] == ["probability", "prediction"]
    assert scored[2][4:] == ["", ""]
    reviews = [rows[i][1] for i in (1, 3, 4, 5)]
    expected = model.predict_proba(reviews)[:, 1]
    actual = [float(scored[i][4]) for i in (1, 3, 4, 5)]
    assert actual == pytest.approx(expected, abs=1e-6)
    assert [int(scored[i][5]) for i in (1, 3, 4, 5)] == [int(p > 0.5) for p in actual]
    assert report.scores == evaluate([1, 0], actual[:2])


def test_quotation_marks_that_are_letters(model, tmp_path):
    """Cells are written as they are read: without quoting."""
    text = 'review\tid\n"Up" is a film\t1\n"lone\t2\nbad "film"\t\n'
    (tmp_path / "in.tsv").write_text(text)
    score_csv(model, tmp_path / "in.tsv", tmp_path / "out.tsv", quotes="none")
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert [line.rsplit("\t", 2)[0] for line in lines] == text.splitlines()
    assert [len(line.split("\t")) for line in lines] == [4] * 4


def test_no_figures_where_labels_are_on_another_scale(model, tmp_path, monkeypatch):
    """They would be those of other reviews, or of none. Each row is scored."""
    monkeypatch.setattr(scoring, "PART_ROWS", 3)
    for column, labels, says in [
        ("label", "12", "the column label holds '1', '2'; it may hold 0, 1"),
        ("rating", "12345", "no rating of 50 is above 5"),
    ]:
        rows = "".join(f"good film,{label}\n" for label in labels * 10)
        (tmp_path / "in.csv").write_text(f"review,{column}\n{rows}")
        report = score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv", overwrite=True)
        assert report.rows == report.scored == 10 * len(labels)
        assert (report.undecided, report.unreadable, report.scores) == (0, 0, None)
        assert f"\nno figures, since {says}" in str(report)
        assert pd.read_csv(tmp_path / "out.csv")["prediction"].notna().all()


def test_encodings(model, tmp_path):
    """The output has the one of the input; UTF-16 has its mark."""
    for encoding, text in [("cp1252", "Ça, c’est"), ("utf-16", "😀"), ("shift-jis", "映画")]:
        (tmp_path / "in.csv").write_bytes(f"review;x\r\n{text} good;{text}\r\n".encode(encoding))
        out = tmp_path / f"{encoding}.csv"
        score_csv(model, tmp_path / "in.csv", out, encoding=encoding)
        header, line, _ = out.read_bytes().decode(encoding).split("\n")
        assert header == "review;x;probability;prediction"
        assert re.fullmatch(rf"{text} good;{text};0\.\d+;[01]", line)


def test_compressed_files(model, rated_file, tmp_path):
    """They are detected by their bytes, whatever their names; the same rows give the same bytes."""
    score_csv(model, rated_file, tmp_path / "plain.tsv")
    with zipfile.ZipFile(tmp_path / "one", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(rated_file, "imdb-reviews.csv")
    (tmp_path / "two").write_bytes(gzip.compress(rated_file.read_bytes()))
    for name in ("one", "two"):
        score_csv(model, tmp_path / name, tmp_path / f"{name}.gz")
    one, two = ((tmp_path / f"{name}.gz").read_bytes() for name in ("one", "two"))
    assert gzip.decompress(one) == (tmp_path / "plain.tsv").read_bytes()
    assert one == two


def test_what_is_counted(model, tmp_path):
    rows = [
        ("9", "good film"), ("2.0", "bad film zzzz"), ("5", "dull"), ("6", "fine"), ("4.5", "so"),
        ("", "good"), ("ten", "good"), ("9", "zzzz qqqq"), ("9", ""), ("1", "  "), ("ten", ""),
        ("9", "NA"), ("1", " #NAME? "), ("", "[deleted]"), ("1", "null"),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["rating", "review"])
    table.to_csv(tmp_path / "in.csv", index=False)
    report = score_csv(model, tmp_path / "in.csv")
    assert (report.rows, report.scored, report.empty) == (15, 8, 7)
    scored = score_partition(pd.read_csv(tmp_path / "in.csv"), model)  # some cells are NaN now
    assert scored["prediction"].isna().sum() == scored["probability"].isna().sum() == 7
    assert report.without_known_word == 2  # "so" is a stop word
    assert report.known_words == 8 / 11
    assert (report.undecided, report.unreadable) == (3, 2)
    p = model.predict_proba(["good film", "bad film zzzz", "zzzz qqqq"])[:, 1]
    assert report.scores == pytest.approx(evaluate([1, 0, 1], p), abs=1e-6)
    assert str(report).startswith(
        "15 rows: 8 scored, 3 rated between 4 and 7, 2 without a readable label, 7 empty, 2 "
        "without a known word; 72.7% of the words known\nloss "
    )
    assert f"\nloss {report.scores.loss:.4f}, accuracy" in str(report)
    (tmp_path / "in.csv").write_text("review\n123\n...\n")
    report = score_csv(model, tmp_path / "in.csv")
    assert str(report) == "2 rows: 2 scored, 2 without a known word"


def test_a_bar_and_a_pipe(model, rated_file, tmp_path, capsys):
    score_csv(model, rated_file, verbose=True)
    size = f"{rated_file.stat().st_size / 1e6:.2f}M"
    assert re.search(rf"100%.*{size}/{size} \[.*B/s\]", capsys.readouterr().err)
    os.mkfifo(tmp_path / "pipe")
    writing = Thread(target=(tmp_path / "pipe").write_bytes, args=(rated_file.read_bytes(),))
    writing.start()
    assert score_csv(model, tmp_path / "pipe", verbose=True).rows == 2000
    writing.join()


def test_an_output_that_is_there(model, rated_file, tmp_path, monkeypatch):
    """Before, or since somebody else has written it meanwhile."""
    out, really = tmp_path / "out.csv", scoring.score_texts
    write = out.write_text
    monkeypatch.setattr(scoring, "score_texts", lambda *a: write("precious") and really(*a))
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (out, out, "~/out.csv"):
        with pytest.raises(FileExistsError, match="exists: give --force"):
            score_csv(model, rated_file, path)
        assert out.read_text() == "precious"
        assert list(tmp_path.iterdir()) == [out]
    (tmp_path / "link.csv").symlink_to(out)
    score_csv(model, rated_file, tmp_path / "link.csv", overwrite=True)
    assert out.read_text().startswith("url\trating\treview\tprobability")
    (tmp_path / "same.csv").symlink_to(rated_file)
    with pytest.raises(ReviewFileError, match="is the input"):
        score_csv(model, rated_file, "~/same.csv", overwrite=True)


def test_a_late_row_that_is_uneven(model, tmp_path):
    """Long after the first rows were scored and written."""
    (tmp_path / "in.csv").write_text("review,x\n" + "good film,1\n" * 30_000 + "bad\n")
    (tmp_path / "out.csv").write_text("precious")
    with pytest.raises(ReviewFileError, match="line 30002: 1 cells, the first row has 2"):
        score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv", overwrite=True)
    assert (tmp_path / "out.csv").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.fixture
def two_threads(monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setattr(batches.joblib, "cpu_count", lambda: 2)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_probabilities_do_not_depend_on_threads(reviews, tmp_path, monkeypatch, two_threads):
    """Parts have a fixed size. The caller and later threads compute as they did before."""
    monkeypatch.setattr(scoring, "PART_ROWS", 40)
    model, found = sh.load("models/RNN.pt"), []
    reviews[:190].to_csv(tmp_path / "in.csv", index=False)
    for threads in (2, 1):
        torch.set_num_threads(threads)
        score_csv(model, tmp_path / "in.csv", tmp_path / f"{threads}.csv")
        found.append(score_partition(reviews[:190], model)["probability"])
        later = [torch.get_num_threads()]
        thread = Thread(target=lambda later=later: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [threads, threads]
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    assert found[0].equals(found[1])
    scored = pd.read_csv(tmp_path / "1.csv", dtype=str)["probability"].astype(float)
    assert scored.equals(found[0])


def test_ctrl_c(model, rated_file, tmp_path, monkeypatch, two_threads):
    """While two threads score: nothing is written, and no thread is left."""
    threads, really = set(), torch.nn.Linear.forward

    def forward(self, x):
        threads.add(get_ident())
        if len(threads) == 2:
            raise KeyboardInterrupt
        return really(self, x)

    monkeypatch.setattr(batches, "EVAL_WORDS", 100)
    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    count = active_count()
    with pytest.raises(KeyboardInterrupt):
        score_csv(model, rated_file, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []
    assert active_count() == count
    assert torch.get_num_threads() == 2


def test_each_kind_of_model_reads_texts_once(reviews, frequent_words, monkeypatch):
    """The words are counted then, if this package's transformer reads them."""
    texts, labels = [*reviews["review"][:199], "a é"], reviews["label"][:200]
    ids = sh.TokenIds(frequent_words).fit(texts)
    bag = make_pipeline(ids, sh.BagClassifier()).fit(texts, labels)
    pairs = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
    some = ["the film zzzz", " \n", "qqqq!", "a é", ""]
    counted = {"scored": 3, "words": 7, "known": 4, "without_known_word": 0, "taught": 1}
    reads, really = [], sh.TokenIds.transform_counted
    monkeypatch.setattr(sh.TokenIds, "transform_counted", lambda *a: reads.append(1) or really(*a))
    for model, counts in [(bag, counted), (pairs, {"scored": 3})]:
        expected = model.predict_proba(some)[:, 1]
        reads.clear()
        probabilities, taught, found = score_texts(model, some)
        assert found == counts
        assert taught.tolist() == [False, False, False, counts == counted, False]
        assert np.isnan(probabilities).tolist() == [not text.strip() for text in some]
        assert np.nanmax(abs(probabilities - expected)) < 1e-6
        assert len(reads) == (counts == counted)
        assert score_texts(model, [" "])[2] == {"scored": 0}


def test_a_probability_that_is_not_finite(model, rated_file, tmp_path, monkeypatch):
    monkeypatch.setattr(
        sh.BiRNNClassifier, "predict_proba", lambda _, X: np.full((len(X), 2), np.nan)
    )
    with pytest.raises(CheckpointError, match="not finite: train it again"):
        score_csv(model, rated_file, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []
