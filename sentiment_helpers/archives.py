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
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import torch

from sentiment_helpers.files import FileError, written_whole

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
# What a pickle of plain values and tensors is made of.
_OPCODES = frozenset(
    "PROTO STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "EMPTY_DICT SETITEM SETITEMS BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL REDUCE BUILD "
    "BINPERSID".split()
)


class CheckpointError(FileError):
    """A file that should hold a saved model does not; says which file and why."""


def write(content: dict, path: str | os.PathLike) -> None:
    """Write tensors and plain values to `path`, whole or not at all, for `torch.load`.

    Raises:
        ValueError: more than `MAX_BYTES`, which `read` would refuse.
        OSError: `path` cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    if buffer.tell() + _SEALED > MAX_BYTES:
        raise ValueError(f"{path} would be larger than {MAX_BYTES:,} bytes, and is not written")
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
        members = _members(data)
        described = _Described(*members).load()
        _count(described)
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


class _Described(pickle.Unpickler):
    """Reads a pickle with a `_Tensor` in place of each tensor: nothing that it names is run, and
    nothing is allocated that is larger than the pickle."""

    def __init__(self, pickled: bytes, storages: dict[str, bytes]):
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name == "GLOBAL":
                self.find_class(*argument.split(" ", 1))
            elif opcode.name not in _OPCODES:
                raise _Refused(f"its pickle could run code (it uses {opcode.name})")
            elif opcode.name.endswith("PUT") and argument > len(pickled):
                raise _Refused("its pickle claims more memory than it can need")
        super().__init__(io.BytesIO(pickled))
        self._storages = storages

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise _Refused(f"its pickle could run code (it names {module}.{name})")

    def persistent_load(self, pid) -> tuple[torch.dtype, int]:
        """The dtype and the number of the values in a storage."""
        kind, name, key, _, count = pid
        dtype = _DTYPES[name]
        if kind != "storage" or type(count) is not int:
            raise _Refused("its pickle refers to something that is no tensor's values")
        if len(self._storages[key]) != count * dtype.itemsize:
            raise _Refused(f"the values of storage {key} are not as many as its pickle says")
        return dtype, count


def _tensor(storage, offset, size, stride, *_) -> _Tensor:
    dtype, count = storage
    size, stride = tuple(size), tuple(stride)
    if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise _Refused("a tensor's shape is not of whole numbers")
    dense = [math.prod(size[place + 1 :]) for place in range(len(size))]
    laid_out = len(size) == len(stride) and all(
        of == dense_of for n, of, dense_of in zip(size, stride, dense, strict=True) if n > 1
    )
    if not laid_out or offset + math.prod(size) > count:
        raise _Refused("a tensor does not lie within its values")
    return _Tensor(dtype, size)


def _count(value, so_far: int = 0) -> int:
    """How many parts a value has, those that it holds more than once each time."""
    if so_far > MAX_PARTS:
        raise _Refused(f"it has more than {MAX_PARTS:,} parts")
    so_far += 1
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple) and not isinstance(value, _Tensor):
        for part in value:
            so_far = _count(part, so_far)
    return so_far


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
