"""The beginning of a data set is fair to its classes, and is always the same."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.interfaces.plugin import NoOptions
from dddm_datasets.digits import Digits
from dddm_datasets.file_backed import FirstImages, cifar10, first_of_each_class, npz
from dddm_datasets.options import Cifar10Options, NpzOptions, describe_cifar10


def labels_of(split: Split) -> Tensor:
    """Every label of a split that has classes."""
    labels_N = split.labels(torch.arange(len(split)))
    assert labels_N is not None
    return labels_N


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_every_class_has_its_share(labels: list[int], data: st.DataObject) -> None:
    """No class has two images more than another that still has some, and each gives its first."""
    count = data.draw(st.integers(0, len(labels)))
    labels_N = torch.tensor(labels)
    index = first_of_each_class(labels_N, count=count)
    assert len(index) == count
    assert sorted(set(index.tolist())) == index.tolist()
    taken = torch.bincount(labels_N[index], minlength=4)
    left = torch.bincount(labels_N, minlength=4) - taken
    for one in range(4):
        of_one = index[labels_N[index] == one]
        assert torch.equal(of_one, (labels_N == one).nonzero().flatten()[: len(of_one)])
        assert all(taken[one] >= taken[other] - 1 or left[one] == 0 for other in range(4))


def test_more_images_begin_with_the_fewer() -> None:
    labels_N = torch.randint(0, 10, (100,), generator=torch.Generator().manual_seed(0))
    few, many = (set(first_of_each_class(labels_N, count=n).tolist()) for n in (20, 30))
    assert few < many


def test_only_the_training_split_ends_early() -> None:
    """Images keep their labels; what is held out stays whole; the manifest tells the difference."""
    whole, cut = Digits(NoOptions()), FirstImages(Digits(NoOptions()), count=50)
    train = cut.splits()["train"]
    assert len(train) == 50
    assert torch.bincount(labels_of(train)).tolist() == [5] * 10
    assert train.classes == whole.splits()["train"].classes
    assert train.manifest != whole.splits()["train"].manifest
    assert cut.splits()["held-out"].manifest == whole.splits()["held-out"].manifest

    everything = whole.splits()["train"]
    index = first_of_each_class(labels_of(everything), count=50)
    assert torch.equal(train.images(torch.arange(50)), everything.images(index))


def test_cifar10_can_be_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is said of it before it is read says the number, and the cut needs no images yet."""
    assert describe_cifar10(Cifar10Options(train_images=3200)).train_images == 3200
    assert describe_cifar10(Cifar10Options()).train_images == 50_000
    monkeypatch.setenv("DDDM_DATA", str(tmp_path))
    assert isinstance(cifar10(Cifar10Options(train_images=3200)), FirstImages)
    assert not isinstance(cifar10(Cifar10Options()), FirstImages)


@pytest.mark.parametrize("labels", [None, [0, 0, 0, 1, 1, 1]])
def test_your_own_images_can_be_cut(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, labels: list[int] | None
) -> None:
    """The first of each class, or of all without classes; more than there are is an error."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "six.npz"
    images = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4, 1)
    arrays: dict[str, Any] = {"images": images}
    if labels is not None:
        arrays["labels"] = labels
    np.savez(path, **arrays)
    cut = npz(NpzOptions(path=str(path), train_images=3)).splits()["train"]
    first = [0, 1, 2] if labels is None else [0, 1, 3]
    assert torch.equal(
        cut.images(torch.arange(3)).flatten(1), torch.from_numpy(images[first]).flatten(1)
    )
    with pytest.raises(DataError, match="6 training images, fewer than 7"):
        npz(NpzOptions(path=str(path), train_images=7)).splits()


@pytest.mark.skipif("DDDM_DATA" not in os.environ, reason="DDDM_DATA names no folder of CIFAR-10")
def test_the_real_photographs_are_cut_fairly() -> None:
    """3,200 of them are 320 of each class; the 10,000 test images stay."""
    splits = cifar10(Cifar10Options(train_images=3200)).splits()
    assert torch.bincount(labels_of(splits["train"])).tolist() == [320] * 10
    assert len(splits["held-out"]) == 10_000
    assert splits["train"].shape == describe_cifar10(Cifar10Options()).shape
