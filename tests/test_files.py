"""Downloads from a server that fails, and files written whole or not at all."""

import hashlib
import os
import pickle

import pytest

from sentiment_helpers.storage import files

CONTENT = b"the file's content " * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(misbehaving_server):
    misbehaving_server.content = CONTENT
    return misbehaving_server.url


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The folder `data/` of an empty project."""
    monkeypatch.setattr(files, "project_folder", lambda: tmp_path)
    return tmp_path / "data"


def fetch(*urls):
    return files.find_or_download("x", urls, SHA256, "9 MB", "bundled", files.FileError)


def test_download(server, data, caplog):
    path = fetch(f"{server}/good/x.zip")
    assert path == data / "x.zip"
    assert path.read_bytes() == CONTENT
    assert f"x.zip is not in {data}: downloading 9 MB" in caplog.text
    assert fetch(f"{server}/missing/x.zip") == path
    (data / "x").mkdir()
    assert fetch(f"{server}/missing/x.zip") == data / "x"


@pytest.mark.parametrize("first", ["missing", "html", "cut"])
def test_download_goes_on_to_the_next_address(server, data, first):
    path = fetch(f"{server}/{first}/x.zip", f"{server}/good/x.zip")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "says"), [("missing", "404"), ("html", "checksum"), ("cut", "cut/x.zip: ")]
)
def test_failed_download_leaves_nothing(server, data, kind, says):
    with pytest.raises(
        files.FileError,
        match=rf"could not download x.zip: .*{says}.*put it into .*, or use \"bundled\"",
    ):
        fetch(f"{server}/{kind}/x.zip")
    assert list(data.iterdir()) == []


def test_nobody_answers(data):
    with pytest.raises(files.FileError, match=r"127\.0\.0\.1:9"):
        fetch("http://127.0.0.1:9/x.zip")


def test_written_whole(tmp_path):
    path = tmp_path / "new" / "x.txt"
    with files.written_whole(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(RuntimeError), files.written_whole(path) as temporary:  # noqa: PT012
        temporary.write_text("half of t")
        raise RuntimeError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_all_is_on_disk_before_it_has_its_name_and_its_name_after(tmp_path, monkeypatch):
    path, synced = tmp_path / "x.txt", []

    def sync(descriptor):
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with files.written_whole(path) as temporary:
        temporary.write_text("one")
    assert synced == [(str(temporary), False), (str(tmp_path), True)]


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(NotADirectoryError, match=r"file'"),
        files.written_whole(tmp_path / "file" / "x.txt"),
    ):
        pass
    with (
        pytest.raises(OSError, match=r"No space left on device: .*/x\.txt'"),
        files.written_whole(tmp_path / "x.txt"),
    ):
        raise OSError(28, "No space left on device")


def test_links_stay_links(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "x.txt")
    with files.written_whole(tmp_path / "link") as temporary:
        temporary.write_text("one")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "x.txt").read_text() == "one"


def test_long_names_and_hidden_files(tmp_path):
    path = tmp_path / ("é" * 120 + ".txt")
    path.touch(0o600)
    with files.written_whole(path) as temporary:
        temporary.write_text("one")
        assert temporary.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    with files.written_whole(tmp_path / "x.txt") as temporary:
        temporary.write_text("one")
    assert (tmp_path / "x.txt").read_text() == "one"


def test_only_regular_files_are_replaced(tmp_path):
    with pytest.raises(OSError, match="not a regular file"), files.written_whole(tmp_path):
        pass


def test_paths_are_found_below_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = files.project_folder()
    assert (project / "notebooks").is_dir()
    assert files.resolve("notebooks") == project / "notebooks"
    assert files.resolve("no/such") == files.Path("no/such")
    (tmp_path / "notebooks").mkdir()
    assert files.resolve("notebooks") == files.Path("notebooks")


def test_project_folder_of_an_installed_package_is_the_current_one(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "__file__", str(tmp_path / "site-packages" / "p" / "files.py"))
    monkeypatch.chdir(tmp_path)
    assert files.project_folder() == tmp_path


def test_a_message_is_one_line_whatever_it_quotes():
    error = files.FileError("x.pt names a\nb\x85c \x1b[2J\u202e \udc80 é" + "!" * 5000)
    assert str(error).startswith("x.pt names a b c \\x1b[2J\\u202e \\udc80 é!!")
    assert len(str(error)) == 2000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
