"""GloVe tables from each source, and files that are refused."""

import copy
import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sentiment_helpers import Glove, files, load_glove
from sentiment_helpers import glove as module
from sentiment_helpers.glove import GloveFileError

TEXT = 'the 0.1 -2 3e-2\n" 1 1 1\nnaïve 0 0.5 0\n'
VALUES = np.array([[0.1, -2, 0.03], [1, 1, 1], [0, 0.5, 0]], np.float32)
TABLE = (["the", '"', "naïve"], 2, VALUES.tolist(), np.float32, False)


def contents(glove):
    kind = glove.vectors.dtype, glove.vectors.flags.writeable
    return glove.words, glove.index["naïve"], glove.vectors.tolist(), *kind


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


def test_bundled():
    glove = load_glove("glove.6B.50d")
    assert glove.vectors.shape == (400_000, 50)
    assert glove.words[:3] == ["the", ",", "."]
    assert "400,000 words × 50" in repr(glove)


def test_text_file_is_parsed_once_until_it_changes(source, monkeypatch):
    assert contents(load_glove(source)) == TABLE
    with monkeypatch.context() as patch:
        patch.setattr(module, "_parse", None)  # parsing would fail
        assert contents(load_glove(str(source))) == TABLE
    source.write_text(TEXT + "new 1 2 3\n", "utf-8")
    glove = load_glove(source)
    assert glove.words[-1] == "new"
    assert isinstance(glove.vectors, np.memmap)
    assert len(list(source.parent.iterdir())) == 3


def test_a_table_of_the_same_size_and_time(source, monkeypatch):
    """Workers read it, too, though Windows neither replaces nor deletes a cache that is open."""
    (other := source.with_name("other")).write_text(TEXT.replace("the", "any"), "utf-8")
    os.utime(other, ns=(0, source.stat().st_mtime_ns))
    assert contents(pickle.loads(pickle.dumps(load_glove(source)))) == TABLE
    os.replace(other, source)
    monkeypatch.setattr(Path, "replace", lambda new, old: old.hardlink_to(new))
    monkeypatch.setattr(Path, "unlink", lambda path, **_: path.rmdir())
    new = load_glove(source)
    assert pickle.loads(pickle.dumps(new)).words == new.words == ["any", '"', "naïve"]


def test_damaged_cache_is_never_left(source, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", None)  # the vectors are there, and no words
        with pytest.raises(TypeError):
            load_glove(source)
    assert list(source.parent.iterdir()) == [source]


def test_folder_that_cannot_be_written(source, tmp_path, monkeypatch):
    """Tables of the same name in two such folders have a cache each."""
    other = tmp_path / "other" / source.name
    other.parent.mkdir()
    other.write_text("naïve 1 2\n", "utf-8")
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        assert contents(load_glove(source)) == TABLE
        assert load_glove(other).words == ["naïve"]
    assert len(list((tmp_path / "cache").glob("sentiment-helpers/*/*"))) == 4
    assert list(other.parent.iterdir()) == [other]


def test_names_are_looked_up_in_data(project):
    """A pickled table is opened again in the same way: by its name, or by its path."""
    write_zip(project / "data" / "glove.6B.zip")
    assert contents(load_glove("glove.6B.300d")) == TABLE
    (project / "glove.6B.300d.txt").write_text(TEXT, "utf-8")
    (project / "data" / "glove.6B.300d.txt").write_text("word 1 2 3\n")
    by_name, by_path = load_glove("glove.6B.300d"), load_glove(project / "glove.6B.300d.txt")
    assert pickle.loads(pickle.dumps(by_name)).words == by_name.words == ["word"]
    assert contents(pickle.loads(pickle.dumps(by_path))) == contents(by_path) == TABLE


def test_missing_vectors_are_downloaded_once(project, misbehaving_server, monkeypatch):
    write_zip(project / "archive.zip")
    content = misbehaving_server.content = (project / "archive.zip").read_bytes()
    url = f"{misbehaving_server.url}/{{}}/glove.6B.zip"
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(module, "URL", url.format("html"))
    with pytest.raises(GloveFileError, match=r"not download glove.6B.zip.*wrong checksum"):
        load_glove("glove.6B.300d")
    assert list((project / "data").iterdir()) == []
    monkeypatch.setattr(module, "URL", url.format("good"))
    assert contents(load_glove("glove.6B.300d")) == TABLE
    misbehaving_server.content = b"not asked for again"
    assert contents(load_glove("glove.6B.300d")) == TABLE


ROW = "not a word and {} finite numbers, a blank before each"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there are no words in it"),
        ("400000 50\n", "there are no words in it"),
        ("<!DOCTYPE html>\n<html></html>", f"line 1 is '<!DOCTYPE html>', {ROW.format(1)}"),
        ("a 1 2\nb 1\n", f"line 2 is 'b 1', {ROW.format(2)}"),
        ("a 1 2\n\nb 1 x\n", "line 3 is 'b 1 x'"),
        ("a 1 2\nb -1e99 1\n", "line 2 is 'b -1e99 1'"),
        ("a 1 2\nb 1 2 3\n", "line 2 is 'b 1 2 3'"),
        ("a 1 2\nb 1  2\n", "line 2 is 'b 1 2'"),
        ("a 1 2\rb\rc 1 2\n", "line 2 is 'b'"),
        ("New York 1 2\n", "line 1 is 'New York 1 2'"),
        ("2 3\na 1 2 3\nb 1 2", f"line 3 is 'b 1 2', {ROW.format(3)}"),
        (b"1 2\nword \x8f\xc2\xf5\x3c\x00\x00\x20\x41\n", "'utf-8' codec can't decode byte"),
    ],
)
def test_refused_text(source, text, says):
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    archive = source.with_name("v.zip")
    with zipfile.ZipFile(archive, "w") as members:
        members.write(source)
    for path in (source, archive):
        with pytest.raises(GloveFileError, match=f"^{path}: {says}"):
            load_glove(path)
    assert sorted(source.parent.iterdir()) == [source, archive]


@pytest.mark.parametrize(
    "text",
    [
        "3 2\nthe 1 2\na 3 4\nb 5 6\n",  # word2vec
        "3 2 \r\nthe 1 2 \r\na 3 4 \r\nb 5 6 ",  # fastText
        "\ufeff3\t2\nthe\t1\t2\t\na\t3\t4\t\nb\t5\t6\t\n",
        "the 1 2  \na 3 4\nb 5 6   \n",
        "the\t1 2\na\t3 4\nb\t5 6\n",
        "the 1 2\nthe 7 7\na 3 4\nb 5 6\na 8 8\nthe 9 9\n",
        "the 1 2\ra 3 4\rb 5 6",
    ],
)
def test_other_peoples_tables(source, text):
    source.write_bytes(text.encode())
    for _ in range(2):  # parsed, and from its cache
        glove = load_glove(source)
        assert glove.words == ["the", "a", "b"]
        assert glove.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_words_that_hold_blanks(source):
    """As in GloVe's table of 840 billion words, which repeats one of them, too."""
    odd = ["at name@domain.com", ". . .", "• name@domain.com", "at name@domain.com"]
    words = [odd[n % 4] if n > 9_900 else f"w{n}" for n in range(10_000)]
    values = np.random.default_rng(0).normal(size=(10_000, 30)).astype(np.float32)
    rows = zip(words, values.tolist(), strict=True)
    source.write_text("".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in rows))
    glove = load_glove(source)
    kept = [n for n in range(10_000) if words[n] not in words[:n]]
    assert glove.words == [words[n] for n in kept]
    assert np.array_equal(glove.vectors, values[kept])


def test_refused_zips(project):
    archive = project / "data" / "glove.6B.zip"
    write_zip(archive)
    whole = archive.read_bytes()
    start = whole.rindex(b"glove.6B.300d.txt", 0, whole.index(b"PK\x01\x02")) + 17
    damaged = whole[:start] + bytes(8) + whole[start + 8 :]  # the list of members is sound
    for content in (whole[: len(whole) // 2], damaged, b"<html>Please log in</html>"):
        archive.write_bytes(content)
        with pytest.raises(GloveFileError, match=r"cannot read .*glove.6B.zip .*download it again"):
            load_glove("glove.6B.300d")
    write_zip(archive, "other.txt", "deep/a.vec", "README")
    with pytest.raises(GloveFileError, match=r"no item named .glove.6B.300d.txt"):
        load_glove("glove.6B.300d")
    with pytest.raises(GloveFileError, match=r"not one table: other.txt, deep/a.vec\): unpack it"):
        load_glove(archive)
    with pytest.raises(GloveFileError, match="does not exist"):
        load_glove(archive.with_name("other.zip"))


def test_zip_with_one_table(project):
    mac = ("wiki/", "wiki/news.vec", "__MACOSX/wiki/._news.vec", ".DS_Store")
    (project / "two").mkdir()
    # Names of members are no paths.
    for names in (("any name",), mac, ("README", "model.txt", "meta.json"), ("/evil.txt",)):
        for name in ("glove.840B.300d.zip", "two/Any.ZIP"):
            write_zip(project / name, *names)
            glove = load_glove(project / name)
            assert glove.name == Path(name).stem
            assert contents(glove) == TABLE
    assert not Path("/evil.txt").exists()


def test_tables_are_shared_and_read_only(glove):
    """But arrays of the caller are not."""
    assert copy.deepcopy(glove) is glove
    array = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="read-only"):
        Glove("mine", ["a", "b"], array).vectors[0] = 0
    array[0] = 2
    with pytest.raises(ValueError, match="mine: a word is repeated"):
        Glove("mine", ["a", "a"], array)
    for shape in ((3, 2), (1, 2), (2,), (2, 1, 2)):
        with pytest.raises(ValueError, match=r"2 words need vectors \(2, D\), not"):
            Glove("mine", ["a", "b"], np.zeros(shape, np.float32))
