"""The digits are scikit-learn's, split as documented, and described truly."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dddm.interfaces.dataset import Split
from dddm.interfaces.plugin import NoOptions
from dddm_datasets.digits import Digits
from dddm_datasets.options import describe_digits


@pytest.fixture(scope="module")
def splits() -> dict[str, Split]:
    """Both splits."""
    return dict(Digits(NoOptions()).splits())


def everything(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and labels of a split."""
    index = torch.arange(len(split))
    labels = split.labels(index)
    assert labels is not None
    return split.images(index), labels


def test_the_description_is_true(splits: dict[str, Split]) -> None:
    facts = describe_digits(NoOptions())
    assert facts.shape == splits["train"].shape == splits["held-out"].shape
    assert facts.classes == splits["train"].classes == splits["held-out"].classes
    assert facts.train_images == len(splits["train"]) == 1500
    assert len(splits["held-out"]) == 297


def test_together_they_are_the_shipped_images(splits: dict[str, Split]) -> None:
    """Both splits together are the 1,797 shipped images, each once, with its label."""
    shipped = load_digits()
    rounded = np.floor(shipped.images * 255 / 16 + 0.5).astype(np.uint8)
    expected = [
        (int(label), image.tobytes()) for label, image in zip(shipped.target, rounded, strict=True)
    ]
    found = [
        (int(label), image.numpy().tobytes())
        for split in splits.values()
        for image, label in zip(*everything(split), strict=True)
    ]
    assert sorted(found) == sorted(expected)


def test_values_fill_the_range(splits: dict[str, Split]) -> None:
    """0…16 becomes 17 levels of uint8 from 0 to 255."""
    images, _ = everything(splits["train"])
    assert images.dtype == torch.uint8
    assert sorted(set(images.flatten().tolist())) == [(v * 255 + 8) // 16 for v in range(17)]


def test_held_out_images_are_stratified(splits: dict[str, Split]) -> None:
    """Each class is held out in its share, to within one image."""
    held = torch.bincount(everything(splits["held-out"])[1], minlength=10)
    train = torch.bincount(everything(splits["train"])[1], minlength=10)
    assert ((held - (held + train) * 297 / 1797).abs() <= 1).all()


def test_the_split_never_changes(splits: dict[str, Split]) -> None:
    """The manifests are those that scores and the shipped classifier refer to."""
    assert splits["train"].manifest.startswith("1c1a17ce84af4381")
    assert splits["held-out"].manifest.startswith("e4afa4b2f88c4db0")


def test_declaring_imports_neither_torch_nor_sklearn() -> None:
    code = (
        "import sys, dddm_datasets.options; from dddm.interfaces.plugin import NoOptions;"
        "dddm_datasets.options.describe_digits(NoOptions());"
        "sys.exit(bool({'torch', 'sklearn', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
