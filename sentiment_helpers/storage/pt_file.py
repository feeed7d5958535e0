"""The bytes of .pt files: written with a checksum, read without trusting them. Knows no models.

A .pt file is a zip archive of a pickle and of the tensors' values. What `read` lets through was
checked before PyTorch sees it: the checksum; that nothing is compressed, so that no small file
becomes a large one; that the pickle names tensors and nothing that could be run; and that each
tensor lies within its values.
"""

import hashlib
import io
import math
import os
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sentiment_helpers.storage.files import FileError, written_whole

MAX_BYTES = 2**31  # of a file
MAX_PARTS = 1_000_000  # values, lists and dictionaries; a saved network has some hundred
_SEAL = b"sha256:"  # and 64 digits: the archive's comment, at the end of the file
_SEALED = len(_SEAL) + 64
_DTYPES = {
    "HalfStorage": torch.float16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "ByteStorage": torch.uint8,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}


class CheckpointError(FileError):
    """A file that should hold a saved model does not; says which file and why."""


def write(content: dict, path: str | os.PathLike) -> None:
    """Write tensors and plain values to `path`, whole or not at all, for `torch.load`. NumPy's
    numbers become Python's.

    Raises:
        ValueError: what `read` would refuse: more than `MAX_BYTES`, values that are not plain.
        OSError: `path` cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(_plain(content), buffer)
    if buffer.tell() + _SEALED > MAX_BYTES:
        raise ValueError(f"{path} would be larger than {MAX_BYTES:,} bytes, and is not written")
    try:
        _checked(buffer.getvalue())
    except _Refused as error:
        raise ValueError(f"{path} is not written, since it would be refused: {error}") from None
    # The archive ends with the length of its comment.
    archive = buffer.getvalue()[:-2] + struct.pack("<H", _SEALED)
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(archive)
        file.write(_SEAL + hashlib.sha256(archive).hexdigest().encode())


def read(path: str | os.PathLike) -> dict:
    """The dictionary that `write` put into `path`.

    Raises:
        CheckpointError: `path` is missing, too large, damaged, or was not written by `write`.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path} is a folder, or no regular file")
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is larger than {MAX_BYTES:,} bytes, which no model is")
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    seal = data[-_SEALED:]
    if sealed := seal.startswith(_SEAL):
        digest = hashlib.sha256(memoryview(data)[:-_SEALED]).hexdigest()
        if seal != _SEAL + digest.encode():
            raise CheckpointError(f"{path} is damaged: its checksum is wrong")
    try:
        described, members = _checked(data)
        if sealed:
            return _loaded(*members)
    except _Refused as error:
        raise CheckpointError(f"{path} is refused: {error}") from None
    except Exception as error:  # bytes that are no archive fail in many ways
        reason = f"{type(error).__name__}: {error}"[:200]
        raise CheckpointError(
            f"{path} is damaged, cut off, or no .pt file of tensors and plain values ({reason})"
        ) from None
    raise CheckpointError(_what_else(path, described))


class _Refused(Exception):
    """Says what a file holds that no saved model does."""


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {_plain(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value


def _checked(data: bytes) -> tuple[object, tuple[bytes, dict[str, bytes]]]:
    """What an archive describes, and the members that do."""
    members = _members(data)
    described = _described(*members)
    _check_size(described, members[1])
    return described, members


def _members(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The pickle, and the values of each storage by its key."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in found):
            raise _Refused("its parts are compressed, which those of a saved model never are")
        if sum(member.file_size for member in found) > len(data):
            raise _Refused("its parts are larger than itself")
        parts = {member.filename.partition("/")[2]: archive.read(member) for member in found}
    if parts.get("byteorder", b"little") != b"little":
        raise _Refused("it was written on a machine with another order of bytes")
    storages = {
        name.removeprefix("data/"): values
        for name, values in parts.items()
        if name.startswith("data/")
    }
    return parts["data.pkl"], storages


def _loaded(pickled: bytes, storages: dict[str, bytes]) -> dict:
    """What PyTorch makes of the parts that were checked, and of no others."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as parts:
        parts.writestr("model/data.pkl", pickled)
        parts.writestr("model/version", "3")
        for key, values in storages.items():
            parts.writestr(f"model/data/{key}", values)
    archive.seek(0)
    return torch.load(archive, map_location="cpu", weights_only=True)


class _Tensor(NamedTuple):
    """What a pickle says of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]


class _Name(NamedTuple):
    """What a pickle would have imported."""

    module: str
    name: str


_ORDERED = _Name("collections", "OrderedDict")
_REBUILT = _Name("torch._utils", "_rebuild_tensor_v2")


def _described(pickled: bytes, storages: dict[str, bytes]):
    """What a pickle describes, with a `_Tensor` in place of each tensor.

    Of pickle's commands, the few that plain values and tensors need are carried out here: nothing
    that is named is imported or called, and nothing is made that is larger than the pickle.
    """
    stack, marks, memo = [], [], {}

    def popped(count=None) -> list:
        place = marks.pop() if count is None else len(stack) - count
        if place < 0:
            raise _Refused("its pickle is cut off")
        values = stack[place:]
        del stack[place:]
        return values

    for number, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if number > MAX_PARTS:
            raise _Refused(f"its pickle has more than {MAX_PARTS:,} parts")
        match opcode.name:
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "EMPTY_LIST" | "EMPTY_DICT" | "EMPTY_TUPLE":
                stack.append({"EMPTY_LIST": [], "EMPTY_DICT": {}, "EMPTY_TUPLE": ()}[opcode.name])
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(popped(int(opcode.name[5:]) if opcode.name[5:] else None)))
            case "APPEND" | "APPENDS":
                values = popped(1 if opcode.name == "APPEND" else None)
                list.extend(stack[-1], values)
            case "SETITEM" | "SETITEMS":
                values = popped(2 if opcode.name == "SETITEM" else None)
                if any(type(key) not in (str, int) for key in values[::2]):
                    raise _Refused("a key in it is neither a text nor a whole number")
                dict.update(stack[-1], zip(values[::2], values[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                name = _Name(*argument.split(" ", 1))
                known = name in (_ORDERED, _REBUILT)
                if not known and (name.module != "torch" or name.name not in _DTYPES):
                    raise _Refused(f"its pickle could run code (it names {'.'.join(name)})")
                stack.append(name)
            case "BINPERSID":
                stack.append(_storage(stack.pop(), storages))
            case "REDUCE":
                function, arguments = popped(2)
                if function == _ORDERED and arguments == ():
                    stack.append({})
                elif function == _REBUILT:
                    stack.append(_tensor(*arguments))
                else:
                    raise _Refused("its pickle could run code (it calls something)")
            case "BUILD":  # what PyTorch notes of a state_dict beside the weights
                if type(popped(1)[0]) is not dict or type(stack[-1]) is not dict:
                    raise _Refused("its pickle could run code (it sets attributes)")
            case _:
                raise _Refused(f"its pickle could run code (it uses {opcode.name})")
    raise _Refused("its pickle is cut off")


def _storage(reference, storages: dict[str, bytes]) -> tuple[torch.dtype, int]:
    """The dtype and the number of the values in a storage."""
    kind, name, key, _, count = reference
    dtype = _DTYPES[name.name]
    if kind != "storage" or type(count) is not int:
        raise _Refused("its pickle refers to something that is no tensor's values")
    if len(storages[key]) != count * dtype.itemsize:
        raise _Refused(f"the values of storage {key!r:.20} are not as many as its pickle says")
    return dtype, count


def _tensor(storage, offset, size, stride, *_) -> _Tensor:
    dtype, count = storage
    size, stride = tuple(size), tuple(stride)
    if len(size) > 8:
        raise _Refused(f"a tensor has {len(size):,} dimensions")
    if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise _Refused("a tensor's shape is not of whole numbers")
    dense = [math.prod(size[place + 1 :]) for place in range(len(size))]
    laid_out = len(size) == len(stride) and all(
        of == dense_of for n, of, dense_of in zip(size, stride, dense, strict=True) if n > 1
    )
    if not laid_out or offset + math.prod(size) > count:
        raise _Refused("a tensor does not lie within its values")
    return _Tensor(dtype, size)


def _check_size(described, storages: dict[str, bytes]) -> None:
    """`_Refused` where what a file holds once is in use so often that it becomes large."""
    parts, values = 0, sum(map(len, storages.values()))
    waiting = [described]
    while waiting:
        value = waiting.pop()
        parts += 1
        if isinstance(value, _Tensor):
            values -= math.prod(value.shape) * value.dtype.itemsize
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        if parts > MAX_PARTS:
            raise _Refused(f"it has more than {MAX_PARTS:,} parts")
        if values < 0:
            raise _Refused("its tensors are larger than itself, since they share values")


def _what_else(path: Path, described) -> str:
    """What an archive without a checksum is."""
    if isinstance(described, dict) and described:
        if all(isinstance(value, _Tensor) for value in described.values()):
            return (
                f"{path} holds weights alone (a state_dict), and no parameters: make the network "
                f"with the parameters that it was trained with, such as BiRNN(input_size, …), and "
                f"give them to it: network.load_state_dict(torch.load(path, weights_only=True))"
            )
        if str(described.get("format", "")).startswith("sentiment_helpers"):
            return f"{path} has no checksum: it is cut off, or of format version 1, no longer read"
    return f"{path} was not written by sentiment_helpers.save"
