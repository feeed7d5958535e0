"""Strangers' .pt files: what is refused, and that nothing in them is run."""

import datetime
import hashlib
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sentiment_helpers.storage import pt_file
from sentiment_helpers.storage.pt_file import CheckpointError

CONTENT = {"numbers": [1, 2.5, None, True], "words": "a\nb", "tensor": torch.arange(6.0).view(2, 3)}


@pytest.fixture
def path(tmp_path):
    pt_file.write(CONTENT, tmp_path / "x.pt")
    return tmp_path / "x.pt"


def sealed(members, path, compression=zipfile.ZIP_STORED):
    """An archive with a right checksum, as only somebody who knows the format would make it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"x/{name}", data)
    data = buffer.getvalue()[:-2] + struct.pack("<H", 71)
    path.write_bytes(data + b"sha256:" + hashlib.sha256(data).hexdigest().encode())


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def test_what_is_written_is_read(path):
    for content in (pt_file.read(path), torch.load(path, weights_only=True)):
        assert torch.equal(content["tensor"], CONTENT["tensor"])
        assert content["numbers"] == CONTENT["numbers"]
        assert content["words"] == "a\nb"


def test_each_flipped_bit_is_found(path):
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=r"x\.pt"):
            pt_file.read(path)


def test_each_cut_is_found(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"x\.pt"):
            pt_file.read(path)


class Runs:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ["sealed", "unsealed", "bare"])
def test_code_is_not_run(path, tmp_path, protocol, kind):
    marker = tmp_path / "ran"
    pickled = pickle.dumps({"format": Runs(marker)}, protocol)
    if kind == "bare":
        path.write_bytes(pickled)
    else:
        sealed(members_of(path) | {"data.pkl": pickled}, path)
    if kind == "unsealed":
        path.write_bytes(path.read_bytes().replace(b"sha256:", b"SHA256:"))
    says = "could run code" if kind != "bare" else "no .pt file"
    with pytest.raises(CheckpointError, match=says):
        pt_file.read(path)
    assert not marker.exists()
    pickle.loads(pickled)  # it would have run
    assert marker.exists()


@pytest.mark.parametrize("name", ["builtins.bytearray", "torch._utils._rebuild_parameter"])
def test_only_tensors_are_named(path, name):
    """Not even what PyTorch's own loading allows."""
    module, _, function = name.rpartition(".")
    pickled = f"c{module}\n{function}\n(J\xff\xff\xff\x7ftR.".encode("latin-1")
    sealed(members_of(path) | {"data.pkl": pickled}, path)
    with pytest.raises(CheckpointError, match=f"it names {name}"):
        pt_file.read(path)


def test_only_what_tensors_and_plain_values_need(path):
    sealed(members_of(path) | {"data.pkl": pickle.dumps({"a": {1}}, 4)}, path)
    with pytest.raises(CheckpointError, match=r"could run code \(it uses FRAME\)"):
        pt_file.read(path)


def test_zip_bomb(path):
    members = members_of(path) | {"data/1": b"\0" * 50_000_000}
    sealed(members, path, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="parts are compressed"):
        pt_file.read(path)


def test_parts_that_overlap(path):
    """Many members that are all the same bytes of the file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x/big", b"\0" * 100_000)
        first = archive.getinfo("x/big")
        for number in range(50):
            twin = zipfile.ZipInfo(f"x/{number}")
            for name in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, name, getattr(first, name))
            archive.filelist.append(twin)
        archive.comment = b""
    with pytest.raises(CheckpointError, match="parts are larger than itself"):
        pt_file.read(path)


def changed(path, old, new):
    members = members_of(path)
    assert members["data.pkl"].count(old) == 1
    sealed(members | {"data.pkl": members["data.pkl"].replace(old, new)}, path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"K\x06tq", b"J\xff\xff\xff\x7ftq", "not as many as its pickle says"),  # its values
        (
            b"K\x02K\x03\x86",
            b"J\xff\xff\xff\x7fK\x03\x86",
            "not lie within its values",
        ),  # its shape
        (b"K\x03K\x01\x86", b"K\x00K\x00\x86", "not lie within its values"),  # its strides
        (b"FloatStorage", b"ShortStorage", "names torch.ShortStorage"),
    ],
)
def test_tensors_lie_within_their_values(path, old, new, says):
    changed(path, old, new)
    with pytest.raises(CheckpointError, match=says):
        pt_file.read(path)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


BAD_PICKLES = {
    # Keys whose hash alone would take for ever, or all of the stack.
    "doubled": (b"})" + b"2\x86" * 60 + b"Ns.", "it uses DUP"),
    "nested": (b"})" + b"\x85" * 900_000 + b"Ns.", "neither a text nor a whole number"),
    "remembered": (b"})q\0" + b"h\0h\0\x86q\0" * 60 + b"h\0Ns.", "neither a text nor"),
    "many": (b"](" + b"}" * 2_000_000 + b"e.", "its pickle has more than 1,000,000 parts"),
    "attributes": (
        b"ctorch._utils\n_rebuild_tensor_v2\nN}" + text("__doc__") + text("x") + b"s\x86b.",
        "sets attributes",
    ),
    "called": (b"ccollections\nOrderedDict\nN\x85R.", "calls something"),
    "no end": (b"(NN", "damaged"),
    "no mark": (b"NNe.", "damaged"),
}


@pytest.mark.parametrize("kind", BAD_PICKLES)
@pytest.mark.parametrize("with_checksum", [True, False])
def test_pickles_that_nobody_writes(path, kind, with_checksum):
    pickled, says = BAD_PICKLES[kind]
    sealed(members_of(path) | {"data.pkl": b"\x80\x02" + pickled}, path)
    if not with_checksum:
        path.write_bytes(path.read_bytes().replace(b"sha256:", b"SHA256:"))
    before = pt_file._tensor.__doc__
    with pytest.raises(CheckpointError, match=says):
        pt_file.read(path)
    assert pt_file._tensor.__doc__ == before


def test_many_dimensions(path):
    tensor = torch.zeros(1).view([1] * 9)
    with pytest.raises(ValueError, match="9 dimensions"):
        pt_file.write({"tensor": tensor}, path)


def test_values_that_are_shared(path, tmp_path):
    """Tensors that are views of one another, or the same one: a small file with large contents."""
    values = torch.zeros(1000)
    torch.save({"format": "x", "all": values, "some": values[:1]}, path)
    with pytest.raises(CheckpointError, match="they share values"):
        pt_file.read(path)
    with pytest.raises(ValueError, match=r"y\.pt is not written, .* they share values"):
        pt_file.write({"one": values, "two": [values]}, tmp_path / "y.pt")
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_of_numpy(path):
    content = {"a": [np.float64(0.1), np.int64(2), np.bool_(True)], np.str_("b"): (np.float32(1),)}
    pt_file.write(content, path)
    assert pt_file.read(path) == {"a": [0.1, 2, True], "b": (1.0,)}
    assert type(pt_file.read(path)["a"][0]) is float
    with pytest.raises(ValueError, match=r"x\.pt is not written, .*it names datetime"):
        pt_file.write({"a": datetime.date(2000, 1, 1)}, path)


def test_lists_within_lists(path):
    """Thirty lists, each of the one before it ten times, have 10³⁰ parts."""
    value = []
    for _ in range(30):
        value = [value] * 10
    sealed(members_of(path) | {"data.pkl": pickle.dumps(value, 2)}, path)
    with pytest.raises(CheckpointError, match="more than 1,000,000 parts"):
        pt_file.read(path)
    value = []
    value.append(value)
    sealed(members_of(path) | {"data.pkl": pickle.dumps(value, 2)}, path)
    with pytest.raises(CheckpointError, match=r"x\.pt"):
        pt_file.read(path)


def test_weights_alone(tmp_path):
    torch.save(nn.Linear(2, 1).state_dict(), tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"weights alone \(a state_dict\).*load_state_dict"):
        pt_file.read(tmp_path / "w.pt")


def test_other_files(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"format": "another's"}, path)
    with pytest.raises(CheckpointError, match="not written by"):
        pt_file.read(path)
    torch.save({"format": "sentiment_helpers pipeline", "version": 1}, path)
    with pytest.raises(CheckpointError, match="no checksum"):
        pt_file.read(path)
    torch.save(nn.Linear(2, 1), path)
    with pytest.raises(CheckpointError, match=r"names torch\.nn\.modules\.linear\.Linear"):
        pt_file.read(path)
    with pytest.raises(CheckpointError, match="a folder"):
        pt_file.read(tmp_path)
    with pytest.raises(CheckpointError, match=r"cannot read .*No such file"):
        pt_file.read(tmp_path / "none.pt")


def test_too_large(path, monkeypatch):
    monkeypatch.setattr(pt_file, "MAX_BYTES", 1000)
    monkeypatch.setattr(Path, "read_bytes", None)  # and is not read
    with pytest.raises(CheckpointError, match="larger than 1,000 bytes"):
        pt_file.read(path)
    with pytest.raises(ValueError, match="larger than 1,000 bytes, and is not written"):
        pt_file.write(CONTENT, path)
