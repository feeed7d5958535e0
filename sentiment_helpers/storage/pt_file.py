"""Reads and writes .pt files of tensors and plain values, without trusting what they hold.

A .pt file is a zip archive of a pickle and each tensor's bytes. Before PyTorch loads it, `read`
verifies the checksums (`zipfile`) and what the pickle does (`pickletools`).
"""

import io
import os
import pickletools
import re
import zipfile
from pathlib import Path

import numpy as np
import torch

from sentiment_helpers.storage.files import FileError, written_whole

MAX_BYTES = 2**31  # of a file
MAX_PICKLE = 2**28  # bytes; a model's is mostly its words, 25 MB for GloVe's largest table
MAX_PARTS = 1_000_000  # of a pickle, loaded in seconds; a network of 1,000 layers has 300,000

_BYTES = {"Half": 2, "Float": 4, "Double": 8, "Byte": 1, "Char": 1, "Int": 4, "Long": 8, "Bool": 1}
_NAMES = {f"torch {dtype}Storage": f"${dtype}" for dtype in _BYTES}
_NAMES |= {"torch._utils _rebuild_tensor_v2": "$TENSOR", "collections OrderedDict": "$ORDERED"}
# Where a pickle may call what it names: in a tensor, and in the versions that a `state_dict` notes.
_SHAPE = r"(?:EMPTY_TUPLE|\d+ TUPLE1|\d+ \d+ TUPLE2|\d+ \d+ \d+ TUPLE3|MARK (?:\d+ ){4,8}TUPLE)"
_CALLS = re.compile(
    rf"\$TENSOR MARK MARK 'storage' \$(\w+) '(\d+)' '[\w:]+' (\d+) TUPLE BINPERSID \d+ {_SHAPE} "
    rf"{_SHAPE} NEWFALSE EMPTY_DICT TUPLE REDUCE |EMPTY_DICT '_metadata' EMPTY_DICT "
    r"(?:MARK |SETITEMS? |'\S*' EMPTY_DICT 'version' \d+ SETITEM )*BUILD "
)
_PLAIN = re.compile(
    r"'\S*'|-?\d+|NONE|NEWTRUE|NEWFALSE|BINFLOAT|EMPTY_(?:LIST|DICT)|MARK|APPENDS?|SETITEMS?|STOP"
)


class CheckpointError(FileError):
    """A file that should hold a saved model does not; the message says which file and why."""


def write(content: dict, path: str | os.PathLike) -> None:
    """Write tensors and plain values to `path`, whole or not at all, for `read` and `torch.load`.
    NumPy's numbers become Python's, and tuples lists. `ValueError` if `read` would refuse it: more
    than `MAX_BYTES`, or values that are not plain. `OSError` if `path` cannot be written."""
    buffer = io.BytesIO()
    try:
        torch.save(_copied(content), buffer)
        _checked_parts(buffer.getvalue())
    except Exception as error:  # values that are not plain fail in many ways
        raise ValueError(f"{path} is not written, since it could not be read: {error}") from error
    with written_whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read(path: str | os.PathLike) -> dict:
    """What `write` put into `path`, its tensors on the CPU. `CheckpointError` if `path` is missing,
    too large, damaged, or holds anything but tensors and plain values."""
    path, archive = Path(path), io.BytesIO()
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is a folder, or no regular file")
        if path.stat().st_size > MAX_BYTES:  # before it is read
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes, which no model is")
        parts = _checked_parts(path.read_bytes())
        with zipfile.ZipFile(archive, "w") as rebuilt:
            for name, part in parts.items():
                rebuilt.writestr(f"model/{name}", part)
        archive.seek(0)
        content = torch.load(archive, map_location="cpu", weights_only=True)
        _check_tensors(content)
        return content
    except Exception as error:  # bytes that are no archive fail in many ways
        reason = getattr(error, "strerror", None) or str(error)
        reason = reason.split(". ")[0]  # PyTorch goes on with advice to trust the file
        raise CheckpointError(f"cannot read {path}: {reason:.300}") from None


def _copied(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return value.detach().clone(memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {_copied(key): _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list | tuple) else value


def _checked_parts(data: bytes) -> dict[str, bytes]:
    """The parts of an archive by name; their list has an entry "PK" 1 2 for each."""
    if len(data) > MAX_BYTES or data.count(b"PK\1\2") > MAX_PARTS // 20:
        raise ValueError(f"it is larger than {MAX_BYTES:,} bytes, or has too many parts")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in found):
            raise ValueError("its parts are compressed, which those of a saved model never are")
        if sum(part.file_size for part in found) > len(data):
            raise ValueError("its parts are larger than itself")
        parts = {part.filename.partition("/")[2]: archive.read(part) for part in found}
    _check_pickle(parts.get("data.pkl", b""), {name: len(part) for name, part in parts.items()})
    return parts


def _check_pickle(pickled: bytes, sizes: dict[str, int]) -> None:
    """`ValueError` where a pickle does anything but list plain values and tensors, or where the
    bytes of a tensor are not those of one part, of `sizes`, and no other tensor's."""
    if len(pickled) > MAX_PICKLE or not pickled.startswith(b"\x80\2"):
        raise ValueError(f"its pickle has another protocol than 2, or over {MAX_PICKLE:,} bytes")
    words, memo = [], {}
    for number, (opcode, value, _) in enumerate(pickletools.genops(pickled[2:])):
        if number == MAX_PARTS:
            raise ValueError(f"its pickle has more than {MAX_PARTS:,} parts")
        word = opcode.name
        if word in ("BINPUT", "LONG_BINPUT"):
            memo[value] = words[-1]
            continue
        if word in ("BINGET", "LONG_BINGET") and memo[value][0] in "'$":
            word = memo[value]  # a text or a name; lists and tensors may not be used twice
        elif word in ("BININT", "BININT1", "BININT2", "LONG1") and abs(value) < 2**63:
            word = str(value)
        elif word == "BINUNICODE":
            word = f"'{value}'" if re.fullmatch(r"[\w:]{1,20}", value, re.ASCII) else "''"
        elif word == "GLOBAL":
            if value not in _NAMES:
                raise ValueError(f"its pickle could run code: it names {value.replace(' ', '.')}")
            word = _NAMES[value]
        words.append(word)
    text = " ".join([*words, ""]).replace("$ORDERED EMPTY_TUPLE REDUCE ", "EMPTY_DICT ")
    for dtype, key, count in _CALLS.findall(text):
        if dtype and sizes.pop(f"data/{key}", None) != int(count) * _BYTES[dtype]:
            raise ValueError("the bytes of a tensor are not as many as its pickle says, or shared")
    for word in _CALLS.sub("", text).split():
        if not _PLAIN.fullmatch(word):
            raise ValueError(f"it holds more than tensors and plain values ({word.strip('$')})")


def _check_tensors(value) -> None:
    """`ValueError` where a tensor in `value` is not exactly its bytes in their order."""
    if isinstance(value, torch.Tensor):
        if not value.is_contiguous() or value.nbytes != value.untyped_storage().nbytes():
            raise ValueError("a tensor is a part of other values, or not stored in order")
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_tensors(part)
