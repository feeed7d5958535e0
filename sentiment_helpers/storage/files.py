"""Where files are, how they are downloaded, and how they are written whole or not at all."""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pooch
from tqdm import tqdm

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
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def resolve(path: str | os.PathLike) -> Path:
    """`path`, or the same path in `project_folder()` if only that exists."""
    path = Path(path).expanduser()
    below = project_folder() / path
    return below if below.exists() and not path.exists() else path


def find_or_download(
    unpacked: str, urls: Sequence[str], known_hash: str, size: str, bundled: str, refusal: type
) -> Path:
    """`unpacked` or else the archive of `urls` in `data/`; the archive is downloaded if missing.

    It comes from the first of `urls` that works, and gets its name only when its checksum is
    right (`known_hash`, SHA-256 or "md5:…"). Otherwise `refusal`, a `FileError`, says what failed
    at each one, and that `bundled` needs no download. An interrupted download is continued.
    """
    data, failures = project_folder() / "data", []
    for name in (unpacked, urls[0].rpartition("/")[2]):
        if (data / name).exists():
            return data / name
    _log.warning("%s is not in %s: downloading %s", name, data, size)
    for url in urls:
        try:
            return Path(pooch.retrieve(url, known_hash, name, data, downloader=_download))
        except OSError as error:  # no network, no such page, cut off
            failures.append(f"{url}: {error}")
        except ValueError:
            failures.append(f"{url}: the downloaded file has the wrong checksum")
    failed = f"could not download {name}: {'; '.join(failures)}; try again"
    raise refusal(f'{failed}, put it into {data}, or use "{bundled}", which needs no download')


def _download(url: str, output: str, _) -> None:
    """Write what `url` sends to `output`. What an earlier call got is kept, and not sent again."""
    import requests

    part = Path(output).with_name(f".{url.rpartition('/')[2]}.part")
    start = max(part.stat().st_size - 1, 0) if part.exists() else 0  # one byte at least is sent
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
        if answer.status_code == 416:  # `part` is of another file: start over the next time
            part.unlink(missing_ok=True)
        answer.raise_for_status()
        part.touch()
        size = int(answer.headers.get("Content-Length", 0))
        with part.open("rb+") as file, tqdm(total=size, unit="B", unit_scale=True) as bar:
            file.seek(start if answer.status_code == 206 else 0)  # 200: all of it is sent
            for piece in answer.iter_content(2**13):
                bar.update(file.write(piece))
            file.truncate()
    # Two processes write the same bytes to the same places of `part`; `output` is one's own.
    shutil.copyfile(part, output)
    part.unlink()


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary file, which replaces `path` when the block ends and all bytes are on disk.

    If the block raises, `path` stays as it was and the temporary file is removed. A process that
    is killed in the block leaves a hidden file ".NAME.….part", which nothing reads. The target of a
    link is replaced, and permissions stay. `OSError` with `path` where it cannot be written.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise OSError(f"{path} is not a regular file: give the name of a file to write")
    place = Path(os.path.realpath(path))
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
