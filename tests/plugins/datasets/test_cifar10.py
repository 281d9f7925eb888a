"""CIFAR-10 is what its publisher says, and nothing else is taken for it."""

import contextlib
import hashlib
import os
import pickle
import pickletools
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm_datasets.cifar10 import MD5, META
from dddm_datasets.cifar10_pickle import read_values
from dddm_datasets.file_backed import cifar10
from dddm_datasets.options import CIFAR10, Cifar10Options

REAL = Path(os.environ.get("DDDM_DATA", "data")) / "cifar-10-batches-py"
real = pytest.mark.skipif(not REAL.is_dir(), reason="CIFAR-10 is not there: set DDDM_DATA")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    packed = tmp_path_factory.mktemp("cifar10") / "packed"
    return dict(cifar10(Cifar10Options(path=str(REAL), packed=str(packed))).splits())


@real
def test_the_description_is_true(splits: dict[str, Split]) -> None:
    assert splits["train"].shape == CIFAR10.shape
    assert splits["train"].classes == splits["held-out"].classes == CIFAR10.classes
    assert len(splits["train"]) == CIFAR10.train_images
    assert len(splits["held-out"]) == 10_000


@real
def test_the_images_are_the_published_ones(splits: dict[str, Split]) -> None:
    """Pixels and labels are equal to an independent reading of the batches' bytes."""
    raw = (REAL / "data_batch_3").read_bytes()
    start = raw.index(splits["train"].images(torch.tensor([20_000])).numpy().tobytes())
    images = splits["train"].images(torch.arange(20_000, 30_000)).numpy().tobytes()
    assert raw[start : start + len(images)] == images


@real
def test_channels_classes_and_order(splits: dict[str, Split]) -> None:
    """The first image is the published frog; every class has 5,000 and 1,000 images."""
    first = torch.tensor([0])
    labels = splits["train"].labels(first)
    assert labels is not None
    assert CIFAR10.classes[int(labels)] == "frog"
    assert splits["train"].images(first)[0, :, 0, 0].tolist() == [59, 62, 63]
    for split, each in (("train", 5000), ("held-out", 1000)):
        labels = splits[split].labels(torch.arange(len(splits[split])))
        assert labels is not None
        assert torch.bincount(labels).tolist() == [each] * 10


@real
def test_one_changed_bit_is_refused(tmp_path: Path) -> None:
    """A batch whose MD5 is not the published one is named and not read."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in MD5:
        data = bytearray((REAL / name).read_bytes())
        if name == "data_batch_2":
            data[1_000_000] ^= 1
        (folder / name).write_bytes(data)
    with pytest.raises(DataError, match="data_batch_2 is not CIFAR-10's") as refused:
        cifar10(Cifar10Options(path=str(tmp_path))).splits()
    assert MD5["data_batch_2"] in str(refused.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """An empty place says where was looked and what to set; half a folder says what it lacks."""
    with pytest.raises(DataError, match=r"CIFAR-10 .* was not found") as refused:
        cifar10(Cifar10Options(path=str(tmp_path))).splits()
    assert str(tmp_path / "cifar-10-batches-py") in str(refused.value)
    assert "cs.toronto.edu" in str(refused.value)
    (tmp_path / "data_batch_1").write_bytes(b"")
    with pytest.raises(DataError, match=r"data_batch_2.*test_batch.*missing"):
        cifar10(Cifar10Options(path=str(tmp_path))).splits()


def string(text: bytes) -> bytes:
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + struct.pack("<i", len(text)) + text


def array(shape: bytes, data: bytes, *, kind: bytes = b"u1", version: bytes = b"K\x01") -> bytes:
    """An array as Python 2 pickled it; `shape` holds the instructions that push it."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nK\x00\x85" + string(b"b")
        + b"\x87R(" + version + shape + b"cnumpy\ndtype\n" + string(kind)
        + b"K\x00K\x01\x87R(K\x03" + string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89" + string(data) + b"tb"
    )  # fmt: skip


def batch(*items: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(items) + b"u."


def test_plain_values_and_arrays_come_back() -> None:
    """As they are in CIFAR-10's batches: a table of lists, numbers, strings and an array."""
    found = read_values(
        batch(
            string(b"data"), array(b"K\x02K\x03\x86", bytes(range(250, 256))),
            string(b"labels"), b"](K\x01M\x00\x02e", string(b"name"), string(b"a\xe9"),
        ),
        where="here",
    )  # fmt: skip
    assert found["data"].tolist() == [[250, 251, 252], [253, 254, 255]]
    assert found["data"].dtype == np.uint8
    assert (found["labels"], found["name"]) == ([1, 512], "aé")


@real
@pytest.mark.parametrize("name", [META, "data_batch_1"])
def test_the_published_batches_are_read_as_pickle_reads_them(name: str) -> None:
    data = (REAL / name).read_bytes()
    expected = pickle.loads(data, encoding="latin1")  # noqa: S301 - of the published MD5
    assert hashlib.md5(data, usedforsecurity=False).hexdigest() == MD5[name]
    found = read_values(data, where=name)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert np.array_equal(found[key], value), key


class Calling:
    """A value whose pickle calls a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("function", [os.system, subprocess.Popen, eval, np.frombuffer])
def test_code_is_not_run(tmp_path: Path, function: Any, protocol: int) -> None:
    touched = tmp_path / "touched"
    data = pickle.dumps({"data": Calling(function, f"touch {touched}")}, protocol)
    with pytest.raises(DataError, match="nothing of it was run") as refused:
        read_values(data, where="batch")
    assert refused.value.where == "batch"
    assert not touched.exists()


OBJECTS = b"O8"
DATA = string(b"data")
REFUSED = {
    "an array of objects": batch(DATA, array(b"K\x01\x85", bytes(8), kind=OBJECTS)),
    "of floats": batch(DATA, array(b"K\x01\x85", bytes(8), kind=b"f8")),
    "too few bytes": batch(DATA, array(b"K\x09\x85", bytes(8))),
    "a negative shape": batch(DATA, array(b"J\xfe\xff\xff\xff\x85", bytes(8))),
    "a shape of text": batch(DATA, array(string(b"a"), bytes(8))),
    "another version": batch(DATA, array(b"K\x08\x85", bytes(8), version=b"K\x02")),
    "BUILD on a list": batch(DATA, b"]K\x00\x85b"),
    "BUILD on a dictionary": batch(DATA, b"}K\x00\x85b"),
    "BUILD on a class": batch(DATA, b"cnumpy\nndarray\nK\x00\x85b"),
    "BUILD on a function": batch(DATA, b"cos\nsystem\nN}" + string(b"x") + b"K\x01s\x86b"),
    "BUILD twice": batch(DATA, array(b"K\x01\x85", b"a") + b"K\x00\x85b"),
    "a dtype that is called otherwise": batch(
        DATA, b"cnumpy\ndtype\n" + string(OBJECTS) + b"\x85R"
    ),
    "a value that is used again": batch(DATA, b"]q\x01h\x01\x86"),
    "a circle": b"\x80\x02]q\x01(h\x01e.",
    "a key that is a list": batch(b"]", b"K\x00"),
    "an odd number of items": batch(DATA),
    "no mark": b"\x80\x02}u.",
    "two values": b"\x80\x02K\x00K\x01.",
    "a long text": b"\x80\x02T\xff\xff\xff\x7f.",
    "no end": batch(DATA, b"K\x00")[:-1],
    "nothing": b"",
    "words": b"nonsense",
    "a protocol": b"\x80\x05",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_batch_holds_is_refused(name: str) -> None:
    """An object array that is filled by BUILD ends the process in numpy's own reader."""
    with pytest.raises(DataError, match="this pickle cannot be read"):
        read_values(REFUSED[name], where="here")


@given(st.lists(st.sampled_from(list(pickletools.opcodes)), max_size=40), st.binary(max_size=60))
@settings(max_examples=300)
def test_any_program_is_read_or_refused(
    instructions: list[pickletools.OpcodeInfo], filling: bytes
) -> None:
    """Instructions in any order, with anything as their arguments."""
    data = b"\x80\x02" + b"".join(one.code.encode("latin-1") + filling for one in instructions)
    with contextlib.suppress(DataError):
        read_values(data + b".", where="here")
