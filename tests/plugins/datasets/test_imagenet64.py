"""ImageNet 64×64: the official batches, in files that the test makes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dddm.errors import DataError
from dddm_datasets.file_backed import imagenet64
from dddm_datasets.options import IMAGENET64, ImageNet64Options, describe_imagenet64


def write(path: Path, *, images: int, seed: int, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    arrays = {
        "data": rng.integers(0, 256, (images, 3 * 64 * 64), dtype=np.uint8),
        "labels": rng.integers(1, 1001, images),
        "mean": np.zeros(3 * 64 * 64),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return arrays


def test_a_subset_is_read_as_it_is_stored(tmp_path: Path) -> None:
    """Planes as they are, batches in their order, labels less one; from the unpacked archives."""
    parts = [
        write(tmp_path / "Imagenet64_train_part1_npz" / "train_data_batch_2.npz", images=4, seed=2),
        write(
            tmp_path / "Imagenet64_train_part2_npz" / "train_data_batch_10.npz", images=3, seed=1
        ),
    ]
    val = write(tmp_path / "Imagenet64_val_npz" / "val_data.npz", images=2, seed=3)
    splits = imagenet64(ImageNet64Options(path=str(tmp_path), subset=True)).splits()
    assert {name: len(split) for name, split in splits.items()} == {"train": 7, "held-out": 2}
    for split, arrays in (("train", parts), ("held-out", [val])):
        index = torch.arange(len(splits[split]))
        data = np.concatenate([part["data"] for part in arrays]).reshape(-1, 3, 64, 64)
        labels = np.concatenate([part["labels"] for part in arrays]) - 1
        assert np.array_equal(splits[split].images(index).numpy(), data)
        assert np.array_equal(torch.as_tensor(splits[split].labels(index)).numpy(), labels)
        assert splits[split].classes == IMAGENET64.classes


def test_only_the_whole_is_described() -> None:
    """A subset's size is known only once its files are read."""
    assert describe_imagenet64(ImageNet64Options()) == IMAGENET64
    assert IMAGENET64.train_images == 1_281_167
    assert IMAGENET64.classes[0] == "1"
    assert IMAGENET64.classes[-1] == "1000"
    assert describe_imagenet64(ImageNet64Options(subset=True)) is None


def test_less_than_all_is_refused(tmp_path: Path) -> None:
    """Files that are missing are named; files with other counts say what they have."""
    for k in range(1, 10):
        write(tmp_path / f"train_data_batch_{k}.npz", images=1, seed=k)
    options = ImageNet64Options(path=str(tmp_path))
    with pytest.raises(DataError, match=r"train_data_batch_10\.npz, val_data\.npz missing"):
        imagenet64(options).splits()
    for name in ("train_data_batch_10", "val_data"):
        write(tmp_path / f"{name}.npz", images=1, seed=0)
    with pytest.raises(DataError, match=r"10 train and 1 held-out images; .*1,281,167 train"):
        imagenet64(options).splits()
