"""A right data set, and wrong ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import torch
from attrs import evolve
from torch import Tensor

from dddm.interfaces.data_report import DataReport, ProgressCallback, SplitReport, no_progress
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.support.manifest import manifest_of
from planted.bug import Bug, bug

CLASSES: Final = ("even", "odd")
SHAPE: Final = ImageShape(channels=1, height=4, width=4)


def describe(options: NoOptions) -> DatasetInfo:
    return DatasetInfo(shape=SHAPE, train_images=20, classes=CLASSES)


class Rows(Split):
    """Random images in memory."""

    def __init__(self, count: int, *, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.all = torch.randint(
            0, 256, (count, *SHAPE.as_tuple), generator=generator, dtype=torch.uint8
        )

    def __len__(self) -> int:
        return len(self.all)

    @property
    def shape(self) -> ImageShape:
        return SHAPE

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    @property
    def manifest(self) -> str:
        return manifest_of(images=self.all, labels=torch.arange(len(self.all)) % 2)

    def images(self, index: Tensor) -> Tensor:
        return self.all[index]

    def labels(self, index: Tensor) -> Tensor | None:
        return index % 2


class TwoSplits(Dataset):
    """Splits of one class of `Rows`."""

    rows: type[Rows] = Rows

    def __init__(self, options: NoOptions) -> None:
        pass

    def splits(self) -> Mapping[str, Split]:
        return {"train": self.rows(20, seed=1), "held-out": self.rows(7, seed=2)}


@final
class RightDataset(TwoSplits):
    pass


@final
class NoTrain(TwoSplits):
    def splits(self) -> Mapping[str, Split]:
        return {"all": self.rows(20, seed=1)}


@final
class FloatImages(TwoSplits):
    class rows(Rows):  # noqa: N801 - an attribute
        def images(self, index: Tensor) -> Tensor:
            return super().images(index) / 255


@final
class SortedImages(TwoSplits):
    class rows(Rows):  # noqa: N801
        def images(self, index: Tensor) -> Tensor:
            return super().images(index.sort().values)


@final
class LabelsOutOfOrder(TwoSplits):
    class rows(Rows):  # noqa: N801
        def labels(self, index: Tensor) -> Tensor | None:
            return torch.arange(len(index)) % 2


@final
class LabelsFromOne(TwoSplits):
    class rows(Rows):  # noqa: N801
        def labels(self, index: Tensor) -> Tensor | None:
            return index % 2 + 1


@final
class GivesItselfAway(TwoSplits):
    class rows(Rows):  # noqa: N801
        def images(self, index: Tensor) -> Tensor:
            if len(index) and torch.equal(index, torch.arange(len(self))):
                return self.all
            return super().images(index)

    def splits(self) -> Mapping[str, Split]:
        if not hasattr(self, "kept"):
            self.kept = super().splits()
        return self.kept


@final
class ManifestOfTheName(TwoSplits):
    class rows(Rows):  # noqa: N801
        @property
        def manifest(self) -> str:
            return "rows"


@final
class OneManifest(TwoSplits):
    class rows(Rows):  # noqa: N801
        @property
        def manifest(self) -> str:
            return "0" * 64


@final
class ManifestOfTheObject(TwoSplits):
    class rows(Rows):  # noqa: N801
        @property
        def manifest(self) -> str:
            return f"{id(self.all) + len(self):064x}"

    def splits(self) -> Mapping[str, Split]:
        ALIVE.append(super().splits())
        return ALIVE[-1]


ALIVE: Final[list[Mapping[str, Split]]] = []
"""Splits whose addresses must not be used again."""


@final
class ShuffledEachTime(TwoSplits):
    def splits(self) -> Mapping[str, Split]:
        if not hasattr(self, "kept"):
            self.kept = {"train": self.rows(20, seed=int(torch.randint(0, 1000, ())))}
        return self.kept


@final
class DescribedAmiss(TwoSplits):
    pass


def describe_amiss(options: NoOptions) -> DatasetInfo:
    return evolve(describe(options), train_images=21)


@final
class PreparesElsewhere(TwoSplits):
    def prepare(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> Path | None:
        return Path("nowhere-at-all")


@final
class CountsTwice(TwoSplits):
    def check(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> DataReport:
        found = {name: SplitReport(images=2 * len(s)) for name, s in self.splits().items()}
        return DataReport(shape=str(SHAPE), splits=found)


def dataset(target: Any, *caught_by: str, **registration: Any) -> Bug:
    return bug(Kind.DATASET, target, *caught_by, **{"describe": describe, **registration})


EVERY_SPLIT: Final = (
    "dataset.images", "dataset.order", "dataset.labels", "dataset.own-tensors", "dataset.manifest",
)  # fmt: skip
BUGS: Final[list[Bug]] = [
    dataset(RightDataset),
    dataset(NoTrain, "dataset.splits"),
    dataset(FloatImages, "dataset.images"),
    dataset(SortedImages, "dataset.order"),
    dataset(LabelsOutOfOrder, "dataset.order"),
    dataset(LabelsFromOne, "dataset.labels"),
    dataset(GivesItselfAway, "dataset.own-tensors"),
    dataset(ManifestOfTheName, "dataset.manifest"),
    dataset(OneManifest, "dataset.manifest"),
    dataset(ManifestOfTheObject, "dataset.opens-again"),
    dataset(ShuffledEachTime, "dataset.opens-again"),
    dataset(DescribedAmiss, "dataset.described", describe=describe_amiss),
    dataset(PreparesElsewhere, "dataset.prepares"),
    dataset(CountsTwice, "dataset.finds-itself-in-order"),
]
