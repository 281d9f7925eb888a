"""Examining images counts them, finds equal ones, and names everything that is wrong."""

from collections.abc import Mapping
from typing import final

import torch
from pack_sources import ToySource

from dddm.data.examine import examine_dataset, examine_source
from dddm.data.in_memory_split import InMemorySplit
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Dataset, Split


def test_counts_images_and_classes() -> None:
    """Each split's images and each class's by its name; nothing is wrong."""
    found = examine_source(ToySource(), workers=1, progress=no_progress)
    assert found.shape == "3×2×5"
    assert found.splits["train"].images == 10
    assert found.splits["train"].classes == {"even": 5, "odd": 5}
    assert found.splits["held-out"].classes == {"even": 2, "odd": 2}
    assert (found.problems, found.duplicates) == ((), ())
    assert found.notes == ("decoded: 14", "planned: 1")


def test_names_every_broken_image() -> None:
    found = examine_source(ToySource(broken=(1, 8)), workers=1, progress=no_progress)
    assert [problem.where for problem in found.problems] == ["row 1", "row 8"]
    assert found.splits["train"].images == 8


def test_finds_images_that_are_equal() -> None:
    equal = frozenset({("train", 2), ("train", 9), ("held-out", 1)})
    found = examine_source(ToySource(equal=equal), workers=1, progress=no_progress)
    assert found.duplicates == (("held-out image 1", "train image 2", "train image 9"),)


def test_counts_every_image_once_for_the_eye() -> None:
    """What is shown rises to the number of images, broken ones among them."""
    shown: list[tuple[int, int]] = []
    examine_source(
        ToySource(broken=(1,)),
        workers=1,
        progress=lambda what, done, total: shown.append((done, total)),
    )
    assert shown == [(done, 14) for done in range(1, 15)]


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
