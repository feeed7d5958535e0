"""GloVe tables from each source, and files that are refused."""

import copy
import gc
import hashlib
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sentiment_helpers import Glove, load_glove
from sentiment_helpers import glove as module
from sentiment_helpers.glove import GloveFileError
from sentiment_helpers.storage import files

TEXT = 'the 0.1 -2 3e-2\n" 1 1 1\nnaïve 0 0.5 0\n'


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "some.vectors.txt"
    path.write_text(TEXT, "utf-8")
    return path


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with a data folder."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(files, "project_folder", lambda: tmp_path)
    return tmp_path


def write_zip(path, *names):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("glove.6B.50d.txt", "glove.6B.300d.txt"):
            archive.writestr(name, "not to be unpacked" if name.endswith("50d.txt") else TEXT)


def contents(glove):
    vectors = glove.vectors
    return (
        glove.words,
        glove.index["naïve"],
        vectors.tolist(),
        vectors.dtype,
        vectors.flags.writeable,
    )


VALUES = np.array([[0.1, -2, 0.03], [1, 1, 1], [0, 0.5, 0]], np.float32)
TABLE = (["the", '"', "naïve"], 2, VALUES.tolist(), np.float32, False)


def test_bundled():
    glove = load_glove("glove.6B.50d")
    assert glove.vectors.shape == (400_000, 50)
    assert glove.words[:3] == ["the", ",", "."]
    assert "horrible" in glove.nearest("awful")
    assert "400,000 words × 50" in repr(glove)


def test_text_file_is_parsed_once(source, monkeypatch):
    assert contents(load_glove(source)) == TABLE
    monkeypatch.setattr(module, "_parse", None)  # from here on, parsing would fail
    assert contents(load_glove(source)) == TABLE
    assert isinstance(load_glove(str(source)).vectors, np.memmap)


def test_windows_line_ends_and_no_last_line_end(source):
    source.write_bytes(TEXT.rstrip("\n").replace("\n", "\r\n").encode())
    assert contents(load_glove(source)) == TABLE


def test_changed_source_is_parsed_again_and_its_old_cache_removed(source):
    load_glove(source)
    source.write_text(TEXT + "new 1 2 3\n", "utf-8")
    assert load_glove(source).words[-1] == "new"
    assert len(list(source.parent.glob("some.vectors.txt.*"))) == 2


def test_damaged_cache_is_never_left(source, monkeypatch):
    def killed(*_):
        raise MemoryError

    monkeypatch.setattr(Path, "write_bytes", killed)  # the vectors are there, and no words
    with pytest.raises(MemoryError):
        load_glove(source)
    assert list(source.parent.iterdir()) == [source]


def test_folder_that_cannot_be_written(source, tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    monkeypatch.setattr(module.pooch, "os_cache", lambda _: tmp_path / "cache")
    assert contents(load_glove(source)) == TABLE
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_names_are_looked_up_in_data(project):
    write_zip(project / "data" / "glove.6B.zip")
    assert contents(load_glove("glove.6B.300d")) == TABLE
    assert not (project / "data" / "glove.6B.50d.txt").exists()
    (project / "data" / "glove.6B.300d.txt").write_text("word 1 2 3\n")
    assert load_glove("glove.6B.300d").words == ["word"]


def test_missing_vectors_are_downloaded_once(project, misbehaving_server, monkeypatch):
    write_zip(project / "archive.zip")
    content = misbehaving_server.content = (project / "archive.zip").read_bytes()
    kinds = ("missing", "good")
    urls = [f"{misbehaving_server.url}/{kind}/glove.6B.zip" for kind in kinds]
    monkeypatch.setattr(module, "URLS", urls)
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(content).hexdigest())
    assert contents(load_glove("glove.6B.300d")) == TABLE
    misbehaving_server.content = b"not asked for again"
    assert contents(load_glove("glove.6B.300d")) == TABLE


@pytest.mark.parametrize(("kind", "says"), [("html", "wrong checksum"), ("missing", "404")])
def test_failed_download(project, misbehaving_server, monkeypatch, kind, says):
    misbehaving_server.content = b"any" * 1000
    monkeypatch.setattr(module, "URLS", [f"{misbehaving_server.url}/{kind}/glove.6B.zip"])
    with pytest.raises(GloveFileError, match=rf"could not download glove.6B.zip.*{says}"):
        load_glove("glove.6B.300d")
    assert list((project / "data").iterdir()) == []


def test_addresses_and_checksum_are_stanfords():
    assert module.URLS[0] == "https://nlp.stanford.edu/data/glove.6B.zip"
    assert module.URLS[1] == "https://downloads.cs.stanford.edu/nlp/data/glove.6B.zip"
    assert module.SHA256.startswith("617afb2fe6cb")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no words in it"),
        ("\n", "no words in it"),
        ("400000 50\n", "no words in it"),
        ("<!DOCTYPE html>\n<html>no such page</html>\n", "line 1: .*'html>'"),
        ("a 1 2\nb 1\n", "line 2: 1 values, 2 expected"),
        ("a 1 2\nb 1 2 3\n", "line 2: 3 values, 2 expected"),
        ("a 1 2\nb 1 and 2 3\n", "line 2: 4 values, 2 expected"),
        ("a 1 2\n\nb 1 x\n", "line 3: .*'x'"),
        ("a 1 2\nb nan 2\n", "line 2: 'nan' is not a finite number"),
        ("a 1 2\nb -1e99 2\n", "line 2: '-1e99' is not a finite number"),
        ("a 1 2\nb 1  2\n", "line 2: 3 values"),
        ("a 1 2\nb  1 2\n", "line 2: 3 values"),
        ("word\nother\n", "line 1: 0 values"),
        ("New York 1 2\n", "line 1: .*'York'"),
        ("2 3\na 1 2\n", "line 2: 2 values, 3 expected"),
        ("2 9999\na 1 2\n", "line 1 has more than 4,096 values"),
        (b"a 1 2\n\xff\xfe 1 2\n", "line 2 is not UTF-8"),
        (
            b"1 2\nword \x8f\xc2\xf5\x3c\x00\x00\x20\x41\n",
            "line 2 is not UTF-8 text .binary",
        ),
    ],
)
def test_refused_text(source, text, says):
    """Each of them, and each zip archive with it, is closed."""
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    archive = source.with_name("v.zip")
    with zipfile.ZipFile(archive, "w") as members:
        members.write(source)
    for path in (source, archive):
        with warnings.catch_warnings(record=True) as unclosed:
            warnings.simplefilter("always", ResourceWarning)
            with pytest.raises(GloveFileError, match=says) as error:
                load_glove(path)
            assert str(path) in str(error.value)
            del error
            gc.collect()
        assert unclosed == []
    assert sorted(source.parent.iterdir()) == [source, archive]


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("3 2\nthe 1 2\na 3 4\nb 5 6\n", "its first line"),  # word2vec
        ("3 2\nthe 1 2 \na 3 4 \nb 5 6 \n", "its first line, blanks at the ends of lines"),
        ("3 2 \r\nthe 1 2 \r\na 3 4 \r\nb 5 6 ", "its first line, blanks at the ends of lines"),
        ("\ufeff3\t2\nthe\t1\t2\t\na\t3\t4\t\nb\t5\t6\t\n", "its first line, blanks at the ends"),
        ("7000000 2\nthe 1 2\na 3 4\nb 5 6\n", "its first line"),
        ("the 1 2 \na 3 4 \nb 5 6 \n", "blanks at the ends of lines"),
        ("the 1 2  \na 3 4\nb 5 6   \n", "blanks at the ends of lines"),
        ("the 1 2\na 3 4\nb 5 6 \n", None),
        ("the\t1\t2\na\t3\t4\nb\t5\t6\n", None),
        ("the\t1 2\na\t3 4\nb\t5 6\n", None),
        ("the 1 2\nthe 7 7\na 3 4\nb 5 6\na 8 8\nthe 9 9\n", "3 repeated words"),
        ("the 1 2\na 3 4\nb 5 6", None),
    ],
)
def test_other_peoples_tables(source, text, passed, caplog):
    source.write_bytes(text.encode())
    for _ in range(2):  # parsed, and from its cache: said once
        glove = load_glove(source)
        assert glove.words == ["the", "a", "b"]
        assert glove.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert len(caplog.messages) == (passed is not None)
    assert f"{source}: passed over {passed}" in caplog.text or not passed


def test_first_words_that_are_numbers_are_no_header(source):
    for text in ("3 2\na 1\n", "3 1.5\na 1\n", "2 3 4\na 1 2\n"):
        source.write_text(text)
        assert load_glove(source).words == [text[0], "a"]


def test_words_that_hold_blanks(source, caplog):
    """As in GloVe's table of 840 billion words, which repeats one of them, too."""
    odd = ["at name@domain.com", ". . .", "• name@domain.com", "at name@domain.com"]
    words = [odd[n % 4] if n > 9_900 else f"w{n}" for n in range(10_000)]
    values = np.random.default_rng(0).normal(size=(10_000, 30)).astype(np.float32)
    rows = zip(words, values.tolist(), strict=True)
    source.write_text("".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in rows))
    assert source.stat().st_size > 2**22  # several blocks
    glove = load_glove(source)
    kept = [n for n in range(10_000) if words[n] not in words[:n]]
    assert glove.words == [words[n] for n in kept]
    assert len(glove.words) == 9_904
    assert np.array_equal(glove.vectors, values[kept])
    assert "passed over 96 repeated words" in caplog.text


def test_repeated_words_and_other_lengths_are_refused():
    for words, shape in [
        (["a", "b"], (3, 2)),
        (["a", "b"], (1, 2)),
        (["a", "b"], (2,)),
        (["a", "b"], (2, 1, 2)),
    ]:
        with pytest.raises(ValueError, match=r"2 words need vectors \(2, D\), not"):
            Glove("mine", words, np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="mine: a word is repeated"):
        Glove("mine", ["a", "b", "a"], np.zeros((3, 2), np.float32))


def test_refused_zips(project):
    archive = project / "data" / "glove.6B.zip"
    write_zip(archive)
    whole = archive.read_bytes()
    # Cut off: the list of members, at the end, is gone.
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GloveFileError, match=r"cannot read .*glove.6B.zip .*download it again"):
        load_glove("glove.6B.300d")
    # Damaged inside: the list is whole, the bytes of a member are not.
    start = whole.rindex(b"glove.6B.300d.txt", 0, whole.index(b"PK\x01\x02")) + 17
    archive.write_bytes(whole[:start] + b"\x00" * 8 + whole[start + 8 :])
    with pytest.raises(GloveFileError, match=r"cannot read .*glove.6B.zip .*download it again"):
        load_glove("glove.6B.300d")
    write_zip(archive, "other.txt")
    with pytest.raises(GloveFileError, match=r"no item named .glove.6B.300d.txt"):
        load_glove("glove.6B.300d")
    write_zip(archive, "other.txt", "deep/a.vec", "README")
    with pytest.raises(
        GloveFileError, match=r"\(2 files, not one table: other.txt, deep/a.vec\): unpack it"
    ):
        load_glove(archive)
    write_zip(archive, "empty/")
    with pytest.raises(GloveFileError, match="0 files, not one table: "):
        load_glove(archive)
    archive.write_bytes(b"<html>Please log in</html>")
    for name in ("glove.6B.300d", archive):
        with pytest.raises(GloveFileError, match=r"cannot read .*glove.6B.zip .*download it again"):
            load_glove(name)
    with pytest.raises(GloveFileError, match="does not exist"):
        load_glove(archive.with_name("other.zip"))


@pytest.mark.parametrize(
    "names",
    [
        ("glove.840B.300d.txt",),
        ("any name",),
        ("wiki/", "wiki/news.vec", "__MACOSX/wiki/._news.vec", ".DS_Store"),
        ("README", "model.txt", "meta.json"),
    ],
)
def test_zip_with_one_table(project, names):
    (project / "two").mkdir()
    for name in ("glove.840B.300d.zip", "two/Any.ZIP"):
        write_zip(project / name, *names)
        glove = load_glove(project / name)
        assert contents(glove) == TABLE
        assert glove.name == Path(name).stem
        assert contents(pickle.loads(pickle.dumps(glove))) == TABLE
    write_zip(project / "glove.840B.300d.zip", *names, "b.txt", "c.txt")
    with pytest.raises(GloveFileError, match=r"not one table: .*b\.txt, c\.txt\): unpack it"):
        load_glove(project / "glove.840B.300d.zip")


def test_a_path_is_opened_again_by_its_path(project):
    """Not by its name, which means the file in `data/`."""
    (project / "glove.6B.300d.txt").write_text(TEXT, "utf-8")
    glove = load_glove(project / "glove.6B.300d.txt")
    assert contents(pickle.loads(pickle.dumps(glove))) == TABLE


def test_a_carriage_return_ends_a_line_too(source):
    source.write_bytes(TEXT.replace("\n", "\r").encode())
    assert contents(load_glove(source)) == TABLE
    source.write_bytes(b"a 1 2\rb\rc 1 2\n")
    with pytest.raises(GloveFileError, match="line 2: 0 values, 2 expected"):
        load_glove(source)


def test_wide_tables_are_refused(source):
    """Before anything is parsed."""
    source.write_text("a" + " 1" * module.MAX_DIMENSIONS + "\n")
    assert load_glove(source).vectors.shape == (1, module.MAX_DIMENSIONS)
    source.write_text("a" + " 1" * (module.MAX_DIMENSIONS + 1) + "\n")
    with pytest.raises(GloveFileError, match="line 1 has more than 4,096 values"):
        load_glove(source)


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_members_that_are_compressed_otherwise(project, kind):
    """Damaged or whole: their errors are of many kinds."""
    archive = project / "data" / "glove.6B.zip"
    with zipfile.ZipFile(archive, "w", kind) as members:
        members.writestr("glove.6B.300d.txt", TEXT)
    whole = archive.read_bytes()
    for content in (whole, whole[:60] + b"\xff" * 20 + whole[80:]):
        archive.write_bytes(content)
        with pytest.raises(GloveFileError, match=r"cannot read .*glove.6B.zip .* nor deflated"):
            load_glove("glove.6B.300d")


def test_names_of_members_are_no_paths(project):
    archive = project / "data" / "glove.6B.zip"
    with zipfile.ZipFile(archive, "w") as members:
        for name in ("../../evil", "/evil", "glove.6B.300d.txt", "../evil/glove.6B.300d.txt"):
            members.writestr(name, TEXT)
    assert contents(load_glove("glove.6B.300d")) == TABLE
    assert {path.parent for path in project.rglob("*") if path.is_file()} == {archive.parent}
    assert not (project.parent / "evil").exists()
    assert not Path("/evil").exists()


def test_missing_file(tmp_path):
    with pytest.raises(GloveFileError, match="does not exist"):
        load_glove(tmp_path / "none.txt")


def test_copies_share_the_table(glove):
    assert copy.deepcopy(glove) is glove


def test_tables_are_read_only_and_arrays_of_the_caller_are_not():
    array = np.ones((1, 2), np.float32)
    glove = Glove("one", ["word"], array)
    with pytest.raises(ValueError, match="read-only"):
        glove.vectors[0] = 0
    array[0] = 2
