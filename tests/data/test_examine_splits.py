"""Any data set can be looked through, and need not do anything for it."""

from collections.abc import Mapping
from typing import final

import torch

from dddm.data.examine_splits import examine_dataset
from dddm.data.in_memory_split import InMemorySplit
from dddm.interfaces.dataset import Dataset, Split


@final
class Small(Dataset):
    """Six images in two splits; two of them are equal, and one label is wrong."""

    def splits(self) -> Mapping[str, Split]:
        images = torch.arange(6 * 4, dtype=torch.uint8).reshape(6, 1, 2, 2)
        images[5] = images[0]
        labels = torch.tensor([0, 1, 2, 0, 1, 0])
        return {
            name: InMemorySplit(
                all_images=images[rows], all_labels=labels[rows], class_names=("cat", "dog")
            )
            for name, rows in (("train", slice(0, 4)), ("held-out", slice(4, 6)))
        }


def test_what_is_wrong_is_named() -> None:
    """By split and number, with classes counted and equal images found."""
    found = examine_dataset(Small())
    assert found.shape == "1×2×2"
    assert found.splits["train"].images == 4
    assert found.splits["held-out"].classes == {"cat": 1, "dog": 1}
    (problem,) = found.problems
    assert problem.where == "train image 2"
    assert "its label is 2, outside 0…1" in problem.what
    assert found.duplicates == (("held-out image 1", "train image 0"),)


def test_there_is_nothing_to_prepare() -> None:
    """A data set without files says so."""
    assert Small().prepare() is None
