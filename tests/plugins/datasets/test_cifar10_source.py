"""CIFAR-10 is what its publisher says, and nothing else is taken for it."""

import os
from pathlib import Path

import pytest
import torch

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm_datasets.cifar10_source import MD5
from dddm_datasets.descriptions import CIFAR10
from dddm_datasets.file_backed import cifar10
from dddm_datasets.options import Cifar10Options

REAL = Path(os.environ.get("DDDM_DATA", "data")) / "cifar-10-batches-py"
real = pytest.mark.skipif(not REAL.is_dir(), reason="CIFAR-10 is not there: set DDDM_DATA")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    packed = tmp_path_factory.mktemp("cifar10") / "packed"
    return dict(cifar10(Cifar10Options(path=str(REAL), packed=str(packed))).splits())


@real
def test_the_description_is_true(splits: dict[str, Split]) -> None:
    """What is said without reading equals what is read."""
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
