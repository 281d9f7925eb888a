"""CIFAR-10 is what its publisher says, and nothing else is taken for it."""

import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm_datasets.cifar10 import MD5, load_restricted
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


class Calling:
    """A value whose pickle calls a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_values_and_arrays_come_back(protocol: int) -> None:
    """As they are in CIFAR-10's batches: a table of bytes, lists, strings and an array."""
    value: dict[str, Any] = {
        "data": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "labels": [1, 2],
        "name": b"a",
    }
    found = load_restricted(pickle.dumps(value, protocol), where="here")
    assert np.array_equal(found["data"], value["data"])
    assert (found["labels"], found["name"]) == ([1, 2], b"a")


def test_strings_of_python_2_are_read() -> None:
    assert load_restricted(b"\x80\x02}U\x04dataU\x02a\xe9s.", where="here") == {"data": "aé"}


@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "posix.system"), (subprocess.Popen, "subprocess.Popen"), (eval, "builtins.eval")],
)
def test_code_is_not_run(tmp_path: Path, function: Any, name: str) -> None:
    """The error says what the pickle wanted, and it did not get it."""
    touched = tmp_path / "touched"
    data = pickle.dumps({"data": Calling(function, f"touch {touched}")})
    with pytest.raises(DataError, match=f"asks to run {name}") as refused:
        load_restricted(data, where="batch")
    assert refused.value.where == "batch"
    assert not touched.exists()


def test_encode_knows_one_encoding() -> None:
    """What stores bytes in old pickles cannot be asked for other codecs."""
    import _codecs

    data = pickle.dumps(Calling(_codecs.encode, "abc", "rot13"))
    with pytest.raises(DataError, match="cannot be read"):
        load_restricted(data, where="here")
    fine = pickle.dumps(Calling(_codecs.encode, "abc", "latin1"))
    assert load_restricted(fine, where="here") == b"abc"


@pytest.mark.parametrize("data", [b"", b"\x80\x05", b"nonsense", b"\x80\x02}U\x04da"])
def test_damage_is_an_error_of_the_data(data: bytes) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_restricted(data, where="here")
