"""A data set whose training split is the beginning of another's: for runs with little time."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from dddm.data.in_memory_split import InMemorySplit
from dddm.interfaces.data_report import DataReport, ProgressCallback, no_progress
from dddm.interfaces.dataset import Dataset, Split


def first_of_each_class(labels_N: Tensor, *, count: int) -> Tensor:
    """Indices, ascending, of the first `count` images in which no class comes ahead of another.

    Every class has its share to within one image, as long as there are enough of it; no random
    number is drawn.

    Args:
        labels_N: (N,), int64.
        count: at most N.
    """
    by_class = torch.argsort(labels_N, stable=True)
    sizes = torch.bincount(labels_N)
    starts = sizes.cumsum(0) - sizes
    place_in_class_N = torch.empty_like(labels_N)
    place_in_class_N[by_class] = torch.arange(len(labels_N)) - starts[labels_N[by_class]]
    in_turn = torch.argsort(place_in_class_N, stable=True)
    return in_turn[:count].sort().values


@final
class FirstImages(Dataset):
    """Another data set, whose split `train` ends early; its other splits stay whole.

    Args:
        of: the other data set, which has classes.
        count: images of its training split that stay, the first of every class alike.
    """

    def __init__(self, of: Dataset, *, count: int) -> None:
        self._of = of
        self._count = count
        self._splits: Mapping[str, Split] | None = None

    def prepare(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> Path | None:
        """Prepare the other data set."""
        return self._of.prepare(progress=progress, workers=workers)

    def check(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> DataReport | None:
        """Look through all of the other data set, whose files are what can be damaged."""
        return self._of.check(progress=progress, workers=workers)

    def splits(self) -> Mapping[str, Split]:
        """The splits; the images of `train` are copied into memory once.

        Raises:
            DataError: if files are missing or damaged.
        """
        if self._splits is None:
            whole = self._of.splits()
            self._splits = {**whole, "train": _first(whole["train"], count=self._count)}
        return self._splits


def _first(split: Split, *, count: int) -> InMemorySplit:
    labels_N = split.labels(torch.arange(len(split)))
    assert labels_N is not None, "the data sets that are cut have classes"
    index = first_of_each_class(labels_N, count=count)
    return InMemorySplit(
        all_images=split.images(index), all_labels=labels_N[index], class_names=split.classes
    )
