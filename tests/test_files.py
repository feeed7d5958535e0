"""Downloads from a server that fails, and files written whole or not at all."""

import hashlib
import os
import pickle
import threading

import pytest

from sentiment_helpers import files

CONTENT = b"".join(b"the file's line %d\n" % i for i in range(5000))
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


def fetch(url):
    return files.find_or_download("x", url, SHA256, "9 MB", "bundled", files.FileError)


def test_download(server, data, caplog):
    path = fetch(f"{server}/good/x.zip")
    assert path == data / "x.zip"
    assert path.read_bytes() == CONTENT
    assert f"x.zip is not in {data}: downloading 9 MB" in caplog.text
    assert fetch(f"{server}/missing/x.zip") == path
    (data / "x").mkdir()
    assert fetch(f"{server}/missing/x.zip") == data / "x"


@pytest.mark.parametrize(
    ("kind", "says"), [("missing", "404"), ("html", "wrong checksum"), ("cut", "cut/x.zip: ")]
)
def test_failed_download_leaves_nothing_and_says_how_to_go_on(server, data, kind, says):
    advice = rf'curl -L -C - -O {server}/{kind}/x.zip" in {data}'
    with pytest.raises(files.FileError, match=rf"could not download x.zip: .*{says}.*{advice}"):
        fetch(f"{server}/{kind}/x.zip")
    assert list(data.iterdir()) == []


def test_two_downloads_at_once(server, data):
    threads = [threading.Thread(target=fetch, args=[f"{server}/good/x.zip"]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(data.iterdir()) == [data / "x.zip"]
    assert (data / "x.zip").read_bytes() == CONTENT


def test_written_whole(tmp_path, monkeypatch):
    """All is on disk before it has its name."""
    path, synced = tmp_path / "new" / "x.txt", []

    def sync(descriptor):
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with files.written_whole(path) as temporary:
        temporary.write_text("one")
    assert synced == [(str(temporary), False)]
    with pytest.raises(RuntimeError), files.written_whole(path) as temporary:  # noqa: PT012
        temporary.write_text("half of t")
        raise RuntimeError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(NotADirectoryError, match=r"file/x\.txt'"),
        files.written_whole(tmp_path / "file" / "x.txt") as temporary,
    ):
        temporary.write_text("one")
    with pytest.raises(OSError, match="not a regular file"), files.written_whole(tmp_path):
        pass
    with (
        pytest.raises(OSError, match=r"No space left on device: .*/x\.txt'"),
        files.written_whole(tmp_path / "x.txt"),
    ):
        raise OSError(28, "No space left on device")


def test_links_permissions_and_long_names_stay(tmp_path):
    path = tmp_path / ("é" * 120 + ".txt")
    path.touch(0o600)
    (tmp_path / "link").symlink_to(path)
    with files.written_whole(tmp_path / "link") as temporary:
        temporary.write_text("one")
        assert temporary.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "link").is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("one", 0o600)
    with files.written_whole(path) as temporary:
        temporary.write_text("two")
    assert path.read_text() == "two"


def test_paths_are_found_below_the_project(tmp_path, monkeypatch):
    """The one of an installed package is the current folder."""
    monkeypatch.chdir(tmp_path)
    project = files.project_folder()
    assert (project / "notebooks").is_dir()
    assert files.resolve("notebooks") == project / "notebooks"
    assert files.resolve("no/such") == files.Path("no/such")
    (tmp_path / "notebooks").mkdir()
    assert files.resolve("notebooks") == files.Path("notebooks")
    monkeypatch.setattr(files, "__file__", str(tmp_path / "site-packages" / "p" / "files.py"))
    (tmp_path / "site-packages" / "notebooks").mkdir(parents=True)
    assert files.project_folder() == tmp_path


@pytest.mark.parametrize("written", ["~/x", "~", "~x", "~$x/y"])
def test_a_tilde_is_read_and_written_alike(tmp_path, monkeypatch, written):
    below = f"home{written[1:]}" if written in ("~", "~/x") else written
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with files.written_whole(f"{written}/y") as temporary:
        temporary.write_text("one")
    assert files.resolve(files.resolve(f"{written}/y")).samefile(tmp_path / below / "y")


def test_a_message_is_one_line_whatever_it_quotes():
    error = files.FileError("x.pt names a\nb\x85c \x1b[2J\u202e \udc80 é" + "!" * 5000)
    assert str(error).startswith("x.pt names a b c \\x1b[2J\\u202e \\udc80 é!!")
    assert len(str(error)) == 2000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
