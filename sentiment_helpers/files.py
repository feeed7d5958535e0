"""Where files are, how they are downloaded, and how they are written whole or not at all."""

import logging
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import pooch

_log = logging.getLogger(__name__)


class FileError(ValueError):
    """A file is not what it should be. The message is one line, see `one_line`."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """The first 2,000 characters: line ends become spaces, control characters are escaped."""
    text = " ".join(text[:2000].split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:2000]


def sentence(error: Exception) -> str:
    """One line that says what an error means: "FILE: No such file or directory"."""
    reason = getattr(error, "strerror", None)
    return one_line(f"{error.filename or 'output'}: {reason}" if reason else str(error))


def project_folder() -> Path:
    """The folder with `data/` and `models/`: the checkout, or else the current folder."""
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "notebooks/1_stacked_birnn.ipynb").is_file() else Path.cwd()


def path_of(written: str | os.PathLike) -> Path:
    """What a user wrote, as a path: "~/x" is in the home folder, "~x" is not."""
    path = Path(written)
    return Path(os.path.expanduser(path)) if path.parts[:1] == ("~",) else path


def resolve(path: str | os.PathLike) -> Path:
    """`path`, or the same path in `project_folder()` if only that exists."""
    path = path_of(path)
    below = project_folder() / path
    return below if os.path.exists(below) and not os.path.exists(path) else path


def find_or_download(
    unpacked: str, url: str, known_hash: str, size: str, bundled: str, refusal: type
) -> Path:
    """`unpacked` or else the archive of `url` in `data/`. If both are missing, the archive is
    downloaded; unless it has this SHA-256 (or "md5:…"), `refusal`, a `FileError`, says what failed,
    how to go on by hand, and that `bundled` needs no download."""
    data = project_folder() / "data"
    for name in (unpacked, url.rpartition("/")[2]):
        if (data / name).exists():
            return data / name
    _log.warning("%s is not in %s: downloading %s", name, data, size)
    download = pooch.HTTPDownloader(progressbar=True)
    try:
        return Path(pooch.retrieve(url, known_hash, name, data, downloader=download))
    except (OSError, ValueError) as error:
        failure = error if isinstance(error, OSError) else "wrong checksum"
        advice = f'run "curl -L -C - -O {url}" in {data}, or use "{bundled}"'
        raise refusal(f"could not download {name}: {url}: {failure}; {advice}") from None


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary file, which replaces `path` when the block ends and all bytes are on disk. If the
    block raises, `path` stays as it was; a killed process leaves a hidden ".NAME.….part". The
    target of a link is replaced, and permissions stay. `OSError` if `path` cannot be written."""
    place = Path(os.path.realpath(path_of(path)))
    if place.exists() and not place.is_file():
        raise OSError(f"{path} is not a regular file: give the name of a file to write")
    temporary = place.with_name(f".{place.name[:40]}.{uuid4().hex}.part")  # 255 bytes at most
    try:
        if not place.parent.exists():  # if it is a file, writing below it says so
            place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            temporary.touch(place.stat().st_mode & 0o777 | 0o200)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError as error:
        if error.errno and error.filename in (None, os.fspath(temporary)):  # such as a full disk
            error.filename = os.fspath(path)
        raise
    finally:
        with suppress(OSError):  # an unreadable folder was already reported
            temporary.unlink(missing_ok=True)


def open_zipped(archive: Path | BinaryIO, endings: tuple[str, ...], member: str = "") -> BinaryIO:
    """`member` of a zip archive, or its one file (not hidden), or its one with such an ending, open
    for reading. Nothing is extracted. `zipfile.BadZipFile` if that is impossible."""
    try:
        with zipfile.ZipFile(archive) as opened:  # an open member keeps the file open
            names = opened.namelist()
            files = [name for name in names if not re.search(r"(^|/)(\.[^/]|__MACOSX/)|/$", name)]
            tables = [name for name in files if name.lower().endswith(endings)] or files
            if not member and len(tables) != 1:
                raise ValueError(f"{len(tables)} files, not one table: {', '.join(tables):.500}")
            if opened.getinfo(member or tables[0]).compress_type > zipfile.ZIP_DEFLATED:
                raise ValueError(f"{member or tables[0]} is neither stored nor deflated")
            return opened.open(member or tables[0])
    except (KeyError, RuntimeError, OverflowError, ValueError, OSError) as error:
        raise zipfile.BadZipFile(*error.args) from None  # such as one with a password
