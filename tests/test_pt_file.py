"""Strangers' .pt files: what is refused, and that nothing in them is run."""

import collections
import datetime
import os
import pickle
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sentiment_helpers.storage import pt_file
from sentiment_helpers.storage.pt_file import CheckpointError

CONTENT = {"numbers": [1, 2.5, None, True], "words": "a\nb", "tensor": torch.arange(6.0).view(2, 3)}
BITS = [CONTENT[name] for name in ("numbers", "words")], CONTENT["tensor"].numpy().tobytes()


@pytest.fixture
def path(tmp_path):
    pt_file.write(CONTENT, tmp_path / "x.pt")
    return tmp_path / "x.pt"


def bits(content):
    return [content[name] for name in ("numbers", "words")], content["tensor"].numpy().tobytes()


def put_together(members, path, compression=zipfile.ZIP_STORED):
    """An archive with right checksums, as only somebody who knows the format would make it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"x/{name}", data)


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def check_refused(path, says, seconds=20):
    start = time.process_time()
    with pytest.raises(CheckpointError, match=says) as error:
        pt_file.read(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert time.process_time() - start < seconds


def test_what_is_written_is_read(path):
    for content in (pt_file.read(path), torch.load(path, weights_only=True)):
        assert content.keys() == CONTENT.keys()
        assert bits(content) == BITS
        assert content["tensor"].shape == (2, 3)


def test_each_changed_byte_is_refused_or_changes_nothing(path):
    whole, outcomes = path.read_bytes(), collections.Counter()
    for place, byte in enumerate(whole):
        path.write_bytes(whole[:place] + bytes([byte ^ (1 << place % 8)]) + whole[place + 1 :])
        try:
            content = pt_file.read(path)
        except CheckpointError:
            outcomes["refused"] += 1
            continue
        assert bits(content) == BITS
        outcomes["the same"] += 1  # padding, and parts that nothing needs
    assert outcomes["refused"] > len(whole) / 3


def test_each_cut_is_found(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        check_refused(path, r"x\.pt")


class Runs:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("bare", [False, True])
def test_code_is_not_run(path, tmp_path, protocol, bare):
    marker = tmp_path / "ran"
    pickled = pickle.dumps({"format": Runs(marker)}, protocol)
    if bare:
        path.write_bytes(pickled)
    else:
        put_together(members_of(path) | {"data.pkl": pickled}, path)
    says = "not a zip file" if bare else "could run code" if protocol == 2 else "protocol"
    check_refused(path, says)
    assert not marker.exists()
    pickle.loads(pickled)  # it would have run
    assert marker.exists()


@pytest.mark.parametrize("name", ["builtins.bytearray", "torch._utils._rebuild_parameter"])
def test_only_tensors_are_named(path, name):
    """Not even what PyTorch's own loading allows."""
    module, _, function = name.rpartition(".")
    pickled = f"\x80\2c{module}\n{function}\n(J\xff\xff\xff\x7ftR.".encode("latin-1")
    put_together(members_of(path) | {"data.pkl": pickled}, path)
    check_refused(path, f"could run code: it names {name}")


ENDLESS = [[]]
for _ in range(40):
    ENDLESS = [ENDLESS, ENDLESS]  # 2⁴⁰ lists
VALUES = torch.zeros(1000)
FOREIGN = {
    "set": ({1}, "names __builtin__.set"),
    "tuple": ((1, 2), r"\(TUPLE2\)"),
    "bytes": (b"x", "names _codecs.encode"),
    "Counter": (collections.Counter("aab"), r"names collections\.Counter"),
    "function": (os.path.join, r"names posixpath\.join"),
    "network": (nn.Linear(2, 1), r"names torch\.nn\.modules\.linear\.Linear"),
    "parameter": (nn.Parameter(VALUES), "names torch._utils._rebuild_parameter"),
    "another dtype": (VALUES.bfloat16(), r"names torch\.BFloat16Storage"),
    "sparse": (torch.eye(3).to_sparse(), "names torch._utils._rebuild_sparse_tensor"),
    "no values": (torch.empty(3, device="meta"), "names torch._utils._rebuild_meta_tensor"),
    "large number": (2**70, r"\(LONG1\)"),  # many of these would have the same hash
    "one tensor twice": ([VALUES, VALUES], r"\(BINGET\)"),
    "one list twice": (ENDLESS, r"\(BINGET\)"),
    "part": (VALUES[:10], "part of other values"),
    "every second": (VALUES[::2], "part of other values"),
    "repeated": (torch.zeros(1).expand(9), "part of other values"),
    "transposed": (VALUES.view(10, 100).t(), "not stored in order"),
    "shared": ([VALUES[:500], VALUES[500:]], "or shared"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_other_programs(path, kind):
    value, says = FOREIGN[kind]
    torch.save({"a": value}, path)
    check_refused(path, says)


def test_zip_bomb(path):
    members = members_of(path) | {"data/1": b"\0" * 50_000_000}
    put_together(members, path, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    check_refused(path, "parts are compressed")


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
    check_refused(path, "parts are larger than itself")


def test_many_parts(path):
    put_together(members_of(path) | dict.fromkeys(map(str, range(60_000)), b""), path)
    check_refused(path, "too many parts")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"K\x06tq", b"J\xff\xff\xff\x7ftq", "not as many as its pickle says"),  # its values
        (b"K\x02K\x03\x86", b"J\xff\xff\xff\x7fK\x03\x86", "resize"),  # its shape
        (b"K\x03K\x01\x86", b"K\x00K\x00\x86", "not stored in order"),  # its strides
        (b"QK\x00", b"QK\x05", "resize"),  # its first value
        (b"\x01\x00\x00\x000q", b"\x01\x00\x00\x001q", "not as many as its pickle says"),
        (b"FloatStorage", b"ShortStorage", "names torch.ShortStorage"),
        (b"FloatStorage", b"DoubleStorage", "not as many as its pickle says"),
    ],
)
def test_tensors_are_exactly_their_values(path, old, new, says):
    members = members_of(path)
    assert members["data.pkl"].count(old) == 1
    put_together(members | {"data.pkl": members["data.pkl"].replace(old, new)}, path)
    check_refused(path, says)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


EMPTY = b"ccollections\nOrderedDict\n)R"
FUNCTION = b"ctorch._utils\n_rebuild_tensor_v2\n"
BAD_PICKLES = {
    # Keys whose hash alone would take for ever, or all of the stack.
    "doubled": (b"})" + b"2\x86" * 60 + b"Ns.", "more than tensors"),
    "nested": (b"})" + b"\x85" * 900_000 + b"Ns.", "more than tensors"),
    "pairs": (b"})" + b"K\1\x86" * 400_000 + b"Ns.", "more than tensors"),
    "remembered": (b"})q\0" + b"h\0h\0\x86q\0" * 60 + b"h\0Ns.", "more than tensors"),
    "many": (b"](" + b"}" * 2_000_000 + b"e.", "its pickle has more than 1,000,000 parts"),
    "remembers": (b"]" + b"q\0" * 2_000_000 + b".", "its pickle has more than 1,000,000 parts"),
    "deep": (b"]" * 100_000 + b"a" * 99_999 + b".", "recursion"),
    "in itself": (b"]q\0h\0a.", r"\(BINGET\)"),
    "attributes": (FUNCTION + b"N}" + text("__doc__") + text("x") + b"s\x86b.", "more than"),
    "of a list": (b"]}" + text("_metadata") + b"}sb.", "Weights only load failed$"),
    "called": (b"ccollections\nOrderedDict\nN\x85R.", "more than tensors"),
    "named": (b"cos\x0b'x'\nsystem\n.", "could run code: it names os"),
    "not called": (FUNCTION + b".", r"\(TENSOR\)"),
    "searched": ((b"}" + text("_metadata") + b"}") * 100_000 + b"R.", r"\(REDUCE\)"),
    "another protocol": (pickle.dumps({"a": 1}, 4), r"\(PROTO\)"),
    "no end": (b"(NN", "exhausted"),
    "no mark": (b"NNe.", "pop from empty list"),
    "nothing": (b"", "exhausted"),
}


@pytest.mark.parametrize("kind", BAD_PICKLES)
def test_pickles_that_nobody_writes(path, kind):
    pickled, says = BAD_PICKLES[kind]
    put_together(members_of(path) | {"data.pkl": b"\x80\x02" + pickled}, path)
    check_refused(path, says)


def test_texts_are_no_commands(path):
    """A text in a pickle that reads as what `_check_pickle` looks for."""
    content = {"' TUPLE '": "REDUCE", "$TENSOR": ["'x'", "MARK REDUCE "]}
    pt_file.write(content, path)
    assert pt_file.read(path) == content


def test_long_pickles(path, monkeypatch):
    monkeypatch.setattr(pt_file, "MAX_PICKLE", 100)
    check_refused(path, "over 100 bytes")


def test_weights_of_a_network_are_read(path):
    """A state_dict, with the versions of its layers that PyTorch notes in it."""
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1), nn.Conv2d(1, 1, 1))
    for module in (network, network[0]):
        torch.save(module.state_dict(), path)
        weights = pt_file.read(path)
        assert weights.keys() == module.state_dict().keys()
        assert all(torch.equal(weights[name], w) for name, w in module.state_dict().items())


def test_files_of_a_machine_with_another_byte_order(path):
    swapped = CONTENT["tensor"].numpy().astype(">f4").tobytes()
    put_together(members_of(path) | {"byteorder": b"big", "data/0": swapped}, path)
    assert bits(pt_file.read(path)) == BITS


def test_each_tensor_is_written_by_itself(path):
    values = torch.arange(6.0, requires_grad=True)
    tensors = [
        values, values, values[:2], values[::2], values.view(2, 3).t(), values[:0], values[0],
        torch.zeros(1).expand(3), torch.ones([1] * 8), torch.tensor([True]), nn.Parameter(values),
    ]  # fmt: skip
    pt_file.write({"all": tensors}, path)
    again = pt_file.read(path)["all"]
    assert all(torch.equal(a, b) for a, b in zip(tensors, again, strict=True))
    assert len({tensor.data_ptr() for tensor in again}) == len(tensors)


def test_numbers_of_numpy(path):
    content = {"a": [np.float64(0.1), np.int64(2), np.bool_(True)], np.str_("b"): (np.float32(1),)}
    pt_file.write(content, path)
    assert pt_file.read(path) == {"a": [0.1, 2, True], "b": [1.0]}
    assert type(pt_file.read(path)["a"][0]) is float


IN_ITSELF = []
IN_ITSELF.append(IN_ITSELF)
NOT_PLAIN = {
    "date": (datetime.date(2000, 1, 1), "names datetime.date"),
    "function": (lambda: 0, "pickle"),
    "large number": (2**70, "LONG1"),
    "dtype": (torch.zeros(1).bfloat16(), "names torch.BFloat16Storage"),
    "dimensions": (torch.zeros([1] * 9), "TENSOR"),
    "in itself": (IN_ITSELF, "recursion"),
}


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_what_would_be_refused_is_not_written(path, kind):
    value, says = NOT_PLAIN[kind]
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"x\.pt is not written, .*{says}"):
        pt_file.write({"a": value}, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_files_that_are_none(tmp_path):
    check_refused(tmp_path, "a folder")
    check_refused(tmp_path / "none.pt", r"cannot read .*none\.pt: No such file")
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    check_refused(tmp_path / "x.npz", "cannot read")


def test_too_large(path, monkeypatch):
    monkeypatch.setattr(pt_file, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"not written, .* larger than 1,000 bytes"):
        pt_file.write(CONTENT, path)
    monkeypatch.setattr(Path, "read_bytes", None)  # and is not read
    check_refused(path, "larger than 1,000 bytes")
