"""Where files are, how they are fetched and how they are written whole. Knows no format."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pooch


class FileError(ValueError):
    """A file is not what it should be. The message is one line of at most 2,000 characters, even
    where it quotes the file: line ends in it become spaces, what no terminal should obey is
    escaped."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """`text` as an error shows it, see `FileError`."""
    text = " ".join(text[:2000].split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:2000]


def project_folder() -> Path:
    """The checkout that this package is imported from; where it is installed apart from one
    (in Colab, say), the current folder. `data/` and `models/` are below it."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def resolve(path: str | os.PathLike) -> Path:
    """`path`, or the same path below `project_folder()` where only that exists: "data/x.csv" is
    found from any working directory."""
    path = Path(path).expanduser()
    below = project_folder() / path
    return below if below.exists() and not path.exists() else path


def download(urls: list[str], known_hash: str, folder: Path) -> Path:
    """Fetch a file into `folder` under the last part of its address, with a progress bar.

    The addresses are tried in order. The file appears under its name only when it is whole and
    its checksum (`known_hash`, "sha256:…" or "md5:…") is right.

    Raises `OSError` that says what went wrong at each address.
    """
    failures = []
    for url in urls:
        try:
            return Path(
                pooch.retrieve(
                    url, known_hash, fname=url.rpartition("/")[2], path=folder, progressbar=True
                )
            )
        except OSError as error:  # no network, no such page, cut off
            failures.append(f"{url}: {error}")
        except ValueError:  # pooch's word for a checksum that differs
            failures.append(f"{url}: the file that arrived has the wrong checksum")
    raise OSError("; ".join(failures))


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and all is on disk.

    If the block raises, `path` stays as it was and the temporary file is removed. Whoever is killed
    inside leaves a hidden file ".NAME.….part", which nothing takes for a result. Where `path` is a
    link, what it leads to is written; whom a file that is replaced was hidden from, the new one is.

    Raises:
        OSError: `path` cannot be written; it names `path`.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise OSError(f"{path} is no regular file: give the name of a file to write")
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.name[:40]}.{uuid4().hex}.part")  # 255 bytes at most
    if place.parent.exists() and not place.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", os.fspath(place.parent))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            temporary.touch(place.stat().st_mode & 0o777 | 0o200)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(place)
        with suppress(OSError):  # the new name is on disk, too, where a folder can be opened
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        if error.errno and error.filename in (None, os.fspath(temporary)):  # a full disk, say
            error.filename = os.fspath(path)
        raise
    finally:
        with suppress(OSError):  # where the folder cannot be read, what was raised before counts
            temporary.unlink(missing_ok=True)
