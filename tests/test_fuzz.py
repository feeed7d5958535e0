"""Files that nobody would think of: each ends in a result with every row, or is refused."""

import csv
import gzip
import io
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

from benchmarks.measure import memory
from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
    blend,
    load,
    load_glove,
    load_reviews,
    save,
    score_csv,
)
from sentiment_helpers import files as files_module
from sentiment_helpers.glove import GloveFileError
from sentiment_helpers.reviews import NO_TEXT
from sentiment_helpers.saving import CheckpointError
from sentiment_helpers.tables import ReviewFileError, open_table

pytestmark = pytest.mark.fuzz
ROOT = Path(__file__).parents[1]
SECONDS = 20
BYTES = 1e9


@pytest.fixture(autouse=True)
def bounded_memory():
    """No test of this file takes a gigabyte more than what was there."""
    before = memory("VmRSS", reset=True)
    yield
    grown = memory("VmHWM") - before
    assert grown < BYTES, f"{grown / 1e6:.0f} MB more"


@contextmanager
def bounded_time():
    """`AssertionError` where the block takes longer than `SECONDS`."""

    def hung(*_):
        raise AssertionError(f"no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def models(reviews, frequent_words):
    """One that averages words, one that reads them in order, and a bag; all of them small."""
    texts, labels = reviews["review"][:60], reviews["label"][:60]
    glove, small = frequent_words, {"num_layers": 1, "hidden_size": 2, "max_epochs": 1}
    return [
        make_pipeline(reader, classifier).fit(texts, labels)
        for reader, classifier in [
            (MeanEmbedding(glove), BiRNNClassifier(**small)),
            (TokenIds(glove, 20), WordBiRNNClassifier(glove, **small)),
            (TokenIds(glove, 20), BagClassifier()),
        ]
    ]


# What tables, markup, word rules and terminals take for something special; scripts.
PIECES = (
    'good; bad film; don\'t; "; ""; \'; ,; \t; \n; \r\n; \r; \0; \x1b[2J; \x85; \u2028; \ufeff; '
    "\u200f; مرحبا; שלום; 😀; e\u0301; \U0010ffff; <br />; <!--; -->; <; NA; 007; 1e999; =cmd(); "
    "\\; ..; review; label; ’s; cannot; \x7f; \x1a; \v; \f; \u0130; 👩\u200d👧"
).split("; ")
PIECES += [";", "&amp;", "&#0;", "&#xd800;"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHORT = st.lists(st.sampled_from(PIECES) | TEXT, max_size=12).map("".join)
# A text and the length to which it is repeated, in the test: drawn texts stay in memory.
HUGE = st.tuples(SHORT.filter(bool), st.sampled_from([70_000, 1_000_000]))
FIELD = st.one_of([SHORT] * 60 + [HUGE])


def as_text(cell):
    """Text with line ends has at most 70,000 characters: a million empty lines take seconds."""
    if isinstance(cell, str):
        return cell
    text, size = cell
    size = 70_000 if re.search("[\r\n]", text) else size
    return (text * (size // len(text) + 1))[:size]


@st.composite
def tables(draw):
    """The rows of a table, and how it is written."""
    width = draw(st.integers(1, 5))
    names = [draw(TEXT.filter(lambda t: "\0" not in t)) + str(n) for n in range(width)]
    names[draw(st.integers(0, width - 1))] = draw(st.sampled_from(["review", "Review ", "REVIEW"]))
    if width > 1 and draw(st.booleans()):
        spare = [n for n in range(width) if names[n].strip().lower() != "review"]
        names[draw(st.sampled_from(spare))] = draw(
            st.sampled_from(["label", "sentiment", "rating"])
        )
    label = st.sampled_from(["1", "0", "pos", "Negative", "5", "6.0", "10", "", "nan"])
    kinds = [label if n in ("label", "sentiment", "rating") else FIELD for n in names]
    rows = draw(st.lists(st.tuples(*kinds), max_size=6))
    return SimpleNamespace(
        rows=[names, *map(list, rows)],
        separator=draw(st.sampled_from(",\t;")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        encoding=draw(st.sampled_from(["utf-8"] * 3 + ["utf-8-sig", "utf-16", "utf-32-be"])),
        packed=draw(st.booleans()),
    )


def written(table):
    """The file's bytes; from here on, its cells are texts."""
    table.rows = [[as_text(cell) for cell in row] for row in table.rows]
    file = io.StringIO(newline="")
    # Python's writer leaves a line end of another kind unquoted, where nobody can tell it any more.
    ends = any(end in cell for row in table.rows for cell in row for end in "\r\n")
    quoting = csv.QUOTE_ALL if ends else table.quoting
    csv.writer(
        file, delimiter=table.separator, quoting=quoting, lineterminator=table.line_end
    ).writerows(table.rows)
    data = file.getvalue().encode(table.encoding)
    return gzip.compress(data) if table.packed else data


def cells_of(path, encoding, quotes=None):
    """The columns and the cells of a file, as `open_table` reads them."""
    with open_table(path, encoding=encoding, quotes=quotes) as table:
        return table, [row for part in table.parts() for row in part.to_numpy().tolist()]


def check_scored(source, out, report, encoding):
    """Each cell comes back, and a prediction for each review."""
    table, rows = cells_of(source, encoding)
    scored, back = cells_of(out, encoding, "doubled")
    assert scored.columns == [*table.columns, "probability", "prediction"]
    assert [row[:-2] for row in back] == rows
    place = table.columns.index(table.review)
    there = [row[place].strip() not in NO_TEXT for row in rows]
    assert [bool(row[-2] and row[-1]) for row in back] == there
    assert (report.rows, report.scored) == (len(there), sum(there))
    return [table.columns, *rows]


@given(table=tables(), which=st.integers(0, 2))
def test_tables(models, tried, table, which):
    """Each table that can be written comes back with every row and every cell."""
    with tempfile.TemporaryDirectory() as folder, bounded_time():
        source, out = Path(folder) / "in", Path(folder) / "out"
        source.write_bytes(written(table))
        report = score_csv(models[which], source, out, encoding=table.encoding)
        assert check_scored(source, out, report, table.encoding) == table.rows
    tried["tables of any text, written in any way"]["with every row and cell"] += 1


FRAGMENT = SHORT.map(str.encode) | st.binary(max_size=10)
HEADERS = st.sampled_from(
    [b"review\n", b"id,review\r\n", b"review\tlabel\n", b'"review";x\r', b"\xef\xbb\xbfreview,a\n",
     b'review,"x\n', b"text\n", b"\n", b"", b"\xff\xfer\0e\0v\0i\0e\0w\0\n\0", b"review,review\n"]
)  # fmt: skip


@given(
    header=HEADERS,
    body=st.lists(st.one_of([FRAGMENT] * 40 + [HUGE]), max_size=10),
    packed=st.sampled_from(["no", "no", "yes", "cut", "damaged"]),
    encoding=st.sampled_from(["utf-8"] * 4 + ["cp1252", "utf-16", "iso8859-15"]),
    which=st.integers(0, 2),
    place=st.integers(0),
)
def test_any_bytes(models, tried, header, body, packed, encoding, which, place):
    """What is taken comes back with every cell; all else is refused in one sentence."""
    parts = [part if isinstance(part, bytes) else as_text(part).encode() for part in body]
    data = b"".join([header, *parts])
    stored = data if packed == "no" else gzip.compress(data)
    if packed == "cut":
        stored = stored[: place % len(stored)]
    if packed == "damaged":
        place %= len(stored)
        stored = stored[:place] + bytes([stored[place] ^ 0x55]) + stored[place + 1 :]
    with tempfile.TemporaryDirectory() as folder, bounded_time():
        source, out = Path(folder) / "in", Path(folder) / "out"
        source.write_bytes(stored)
        try:
            report = score_csv(models[which], source, out, encoding=encoding)
        except ReviewFileError:
            assert [path.name for path in Path(folder).iterdir()] == ["in"]
            tried["tables of any bytes"]["refused"] += 1
            return
        check_scored(source, out, report, encoding)
    tried["tables of any bytes"]["with every row and cell"] += 1


WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r"), min_size=1)
VALUE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def vectors(draw):
    width = draw(st.integers(1, 4))
    rows = st.tuples(WORD, st.lists(VALUE, min_size=width, max_size=width))
    return draw(st.lists(rows, min_size=1, max_size=8)), draw(st.sampled_from(["\n", "\r\n"]))


@given(vectors())
def test_vectors(tried, vectors):
    """Each table of vectors that can be written is read as it is."""
    rows, line_end = vectors
    with tempfile.TemporaryDirectory() as folder, bounded_time():
        path = Path(folder) / "v.txt"
        lines = [" ".join([word, *map(repr, values)]) for word, values in rows]
        path.write_bytes(line_end.join(lines).encode())
        for _ in range(2):  # parsed, and from its cache
            glove = load_glove(path)
            first = dict(reversed(rows))  # the first of repeated words counts
            assert glove.words == list(dict.fromkeys(word for word, _ in rows))
            assert glove.vectors.tolist() == [first[word] for word in glove.words]
    tried["GloVe files of any words"]["with every word and value"] += 1


GLOVE_PIECE = st.sampled_from(
    ["the", "a 1 2\n", "b 3 4\r\n", " ", "\n", "\r", "1", "-0.5", "1e99", "nan", "inf", "0x1", "\t",
     '"', "\0", "<html>", "é", "\x85", "\u2028", "1_0", "+1", ".5", "1e", "1 2 3\n", "x" * 2000]
)  # fmt: skip


@given(st.lists(GLOVE_PIECE.map(str.encode) | st.binary(max_size=6), max_size=20).map(b"".join))
@example(b"\xc2\x85the\ra 1 2\n")
def test_any_bytes_as_vectors(tried, data):
    with tempfile.TemporaryDirectory() as folder, bounded_time():
        path = Path(folder) / "v.txt"
        path.write_bytes(data)
        try:
            glove = load_glove(path)
        except GloveFileError:
            assert list(Path(folder).iterdir()) == [path]
            tried["GloVe files of any bytes"]["refused"] += 1
            return
        assert len(glove.words) == len(glove.vectors) > 0
        assert np.isfinite(glove.vectors).all()
        lines = re.split(rb"\r\n|\n|\r", data.replace(b"\t", b" "))
        lines = [line.rstrip(b" ").decode() for line in lines if line.strip(b" ")]
        size = glove.vectors.shape[1]
        words = [line.rsplit(" ", size)[0] for line in lines]
        without_first = words[1:] if re.fullmatch(f"[0-9]+ {size}", lines[0]) else words
        assert glove.words in (list(dict.fromkeys(words)), list(dict.fromkeys(without_first)))
    tried["GloVe files of any bytes"]["with every word"] += 1


@given(place=st.integers(0), byte=st.integers(0, 255), cut=st.booleans())
def test_damaged_zips(tried, place, byte, cut):
    """The members have names that lead out of the folder; nothing is ever put there."""
    names = ("glove.6B.300d.txt", "../../evil.txt", "/tmp/evil.txt")
    with tempfile.TemporaryDirectory() as folder, bounded_time():
        data = Path(folder) / "inner" / "project" / "data"
        data.mkdir(parents=True)
        archive = data / "glove.6B.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
            for name in names:
                members.writestr(name, "the 1 2\na 3 4\n")
        whole = archive.read_bytes()
        place %= len(whole)
        archive.write_bytes(whole[:place] + (b"" if cut else bytes([byte]) + whole[place + 1 :]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files_module, "project_folder", lambda: data.parent)
            try:
                glove = load_glove("glove.6B.300d")
                assert glove.words == ["the", "a"]
                assert glove.vectors.tolist() == [[1, 2], [3, 4]]
                outcome = "read as it was"
            except GloveFileError:
                outcome = "refused"
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        assert all(path.parent == data for path in files)
        assert not Path("/tmp/evil.txt").exists()
    tried["GloVe archives with a byte changed or cut off"][outcome] += 1


@pytest.fixture(scope="module")
def saved(models, reviews, tmp_path_factory):
    """The files of the models and of a blend."""
    folder, words, bag = tmp_path_factory.mktemp("models"), models[1][-1], models[2][-1]
    both = make_pipeline(models[1][0], blend([("words", words), ("bag", bag)]))
    both[-1].fit(both[0].transform(reviews["review"][:60]), reviews["label"][:60])
    for number, model in enumerate([*models, both]):
        save(model, folder / f"{number}.pt")
    return [folder / f"{number}.pt" for number in range(4)]


TEXTS = ["", "A good film!", "bad, and don't ask why", "zzzz"]


def test_mutations(cases, tried, tmp_path):
    """Bytes of the committed models changed one by one: refused, or scoring exactly the same."""
    rng = random.Random(cases)
    files = sorted((ROOT / "models").glob("*.pt"))
    for original in files:
        path = tmp_path / original.name
        path.write_bytes(original.read_bytes())
        expected = load(path).predict_proba(TEXTS)
        size = path.stat().st_size
        with path.open("r+b", buffering=0) as file:
            for _ in range(cases * 5 // 2 // len(files)):
                # Half of them where the structure is: the pickle at the front, the list of parts.
                near, place = rng.random(), rng.randrange(size)
                if near < 0.5:
                    place = place % 3000 if near < 0.25 else size - 1 - place % 3000
                file.seek(place)
                (before,) = file.read(1)
                os.pwrite(file.fileno(), bytes([before ^ rng.randrange(1, 256)]), place)
                with bounded_time():
                    try:
                        outcome = "scoring the same"
                        assert (load(path).predict_proba(TEXTS) == expected).all()
                    except CheckpointError:
                        outcome = "refused"
                tried["bytes of the committed models changed, one at a time"][outcome] += 1
                os.pwrite(file.fileno(), bytes([before]), place)
        assert (load(path).predict_proba(TEXTS) == expected).all()


LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), SHORT, st.just([]), st.just({}),
    st.sampled_from([torch.zeros(0), torch.tensor([np.nan]), torch.ones(2, 2), torch.arange(9)]),
)  # fmt: skip


def places(value, at=()):
    """The way to each part of some content."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*at, key)
            yield from places(value[key], (*at, key))


@given(which=st.integers(0, 3), place=st.integers(0), leaf=LEAF, remove=st.booleans())
@example(which=0, place=1, leaf=torch.ones(2, 2), remove=False)
def test_changed_values_with_right_checksums(
    saved, tried, tmp_path_factory, which, place, leaf, remove
):
    content = torch.load(saved[which], weights_only=True)
    ways = list(places(content))
    *way, key = ways[place % len(ways)]
    part = content
    for step in way:
        part = part[step]
    if remove:
        del part[key]
    else:
        part[key] = leaf
    path = tmp_path_factory.getbasetemp() / "changed.pt"
    torch.save(content, path)
    counts = tried["values in model files changed, with right checksums"]
    with bounded_time():
        try:
            model = load(path)
        except CheckpointError:
            counts["refused"] += 1
            return
        p = model.predict_proba(TEXTS)
        assert p.shape == (4, 2)
        assert not (p < 0).any()
        counts["loaded and scored with"] += 1


SCORE = """
import sys
from benchmarks.measure import memory
from sentiment_helpers.__main__ import main
status = main()
print(memory("VmHWM"))
sys.exit(status)
"""


def peak_of_scoring(source, out):
    """Bytes that a process which scores a file has at most, and the rows that it wrote."""
    # As the process itself sees it: its parent would count its own memory, too.
    command = [sys.executable, "-c", SCORE, "score", ROOT / "models" / "RNN-report.pt", source]
    scored = subprocess.run(
        [*command, "--output", out, "--force"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    with out.open("rb") as file:
        return int(scored.stdout), sum(1 for _ in csv.reader(io.TextIOWrapper(file))) - 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(cases, tried, tmp_path):
    """The bundled reviews again and again, five times as many the second time."""
    reviews, peaks = load_reviews("bundled"), []
    for rows in (cases * 100, cases * 500):
        source = tmp_path / f"{rows}.csv"
        for start in range(0, rows, len(reviews)):
            part = reviews[: rows - start]
            part.to_csv(source, index=False, header=start == 0, mode="a")
        peak, written = peak_of_scoring(source, tmp_path / "out.csv")
        assert written == rows
        peaks.append(peak)
        tried["rows of the bundled reviews, repeated"][
            f"scored in a file of {rows:,} with a peak of {peak / 1e6:.0f} MB"
        ] += rows
    assert peaks[1] < 1.5e9
    assert peaks[1] < 1.2 * peaks[0]
