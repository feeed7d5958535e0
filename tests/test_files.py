"""Downloads from a server that fails, and files written whole or not at all."""

import contextlib
import hashlib
import os
import pickle
import threading
import time

import pytest

from sentiment_helpers.storage import files

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
    ("kind", "says", "kept"),
    [("missing", "404", 0), ("html", "checksum", 0), ("cut", "cut/x.zip: ", 1)],
)
def test_failed_download_leaves_nothing_but_its_part(server, data, kind, says, kept):
    with pytest.raises(
        files.FileError,
        match=rf"could not download x.zip: .*{says}.*put it into .*, or use \"bundled\"",
    ):
        fetch(f"{server}/{kind}/x.zip")
    assert list(data.iterdir()) == [data / ".x.zip.part"] * kept


def test_interrupted_download_goes_on_where_it_stopped(misbehaving_server, server, data):
    for _ in range(2):
        with pytest.raises(files.FileError, match="try again"):
            fetch(f"{server}/cut/x.zip")
    kept = (data / ".x.zip.part").read_bytes()
    assert len(CONTENT) / 2 < len(kept) < len(CONTENT)
    assert fetch(f"{server}/good/x.zip").read_bytes() == CONTENT
    first, second, third = misbehaving_server.starts
    assert first == 0 < second < third == len(kept) - 1
    assert list(data.iterdir()) == [data / "x.zip"]


@pytest.mark.parametrize(
    ("part", "kind", "says"),
    [
        (CONTENT[:30_000], "whole", None),  # no ranges
        (CONTENT + b"more", "whole", None),
        (CONTENT, "good", None),  # killed before it had its name
        (CONTENT[:1], "good", None),
        (b"", "good", None),
        (CONTENT[:30_000], "elsewhere", "wrong checksum"),
        (b"other content " * 1000, "good", "wrong checksum"),
        (CONTENT + b"more", "good", "416"),
        (CONTENT[:30_000], "html", "wrong checksum"),
    ],
)
def test_what_was_kept_is_used_or_the_next_download_starts_over(server, data, part, kind, says):
    data.mkdir()
    (data / ".x.zip.part").write_bytes(part)
    if says:
        with pytest.raises(files.FileError, match=says):
            fetch(f"{server}/{kind}/x.zip")
        assert list(data.iterdir()) == []
        kind = "good"
    assert fetch(f"{server}/{kind}/x.zip").read_bytes() == CONTENT
    assert list(data.iterdir()) == [data / "x.zip"]


def test_two_downloads_at_once(misbehaving_server, server, data):
    """The second begins where the first is then; both get the rest."""

    def attempt():
        with contextlib.suppress(files.FileError):  # the other one was faster
            fetch(f"{server}/meet/x.zip")

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    threads[0].start()
    while threads[0].is_alive() and not misbehaving_server.barrier.n_waiting:
        time.sleep(0.01)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert list(data.iterdir()) == [data / "x.zip"]
    assert (data / "x.zip").read_bytes() == CONTENT


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


def test_all_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "x.txt", []

    def sync(descriptor):
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with files.written_whole(path) as temporary:
        temporary.write_text("one")
    assert synced == [(str(temporary), False)]


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(NotADirectoryError, match=r"file/x\.txt'"),
        files.written_whole(tmp_path / "file" / "x.txt") as temporary,
    ):
        temporary.write_text("one")
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
