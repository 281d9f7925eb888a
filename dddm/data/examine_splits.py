"""Looks through the splits of any data set, as they are read in training."""

from collections.abc import Iterator, Mapping
from typing import Final

import torch

from dddm.data.examine import Seen, digests_of, findings_of
from dddm.data.workers import Tally
from dddm.interfaces.data_report import DataReport, Problem, ProgressCallback, no_progress
from dddm.interfaces.dataset import Dataset, Split

_BATCH_IMAGES: Final = 1024


def examine_dataset(
    dataset: Dataset, *, progress: ProgressCallback = no_progress, workers: int | None = None
) -> DataReport:
    """What the data set finds wrong with itself, or else what its splits show."""
    found = dataset.check(progress=progress, workers=workers)
    return found or examine_splits(dataset.splits(), progress=progress)


def examine_splits(splits: Mapping[str, Split], *, progress: ProgressCallback) -> DataReport:
    """Read every image once, in its order."""
    total = sum(len(split) for split in splits.values())
    tally = Tally("looking at images", total, progress)
    classes = next(iter(splits.values())).classes
    problems: list[Problem] = []
    seen = [
        one
        for name, split in splits.items()
        for one in _look_through(name, split, tally=tally, problems=problems)
    ]
    return findings_of(
        seen,
        shape=", ".join(sorted({str(split.shape) for split in splits.values()})),
        splits=splits,
        classes=classes,
        problems=problems,
        notes=(),
        name_of=lambda name, row: f"{name} image {row}",
    )


def _look_through(
    name: str, split: Split, *, tally: Tally, problems: list[Problem]
) -> Iterator[Seen]:
    for index_B in torch.split(torch.arange(len(split)), _BATCH_IMAGES):
        labels = split.labels(index_B)
        if labels is not None:
            wrong = (labels < 0) | (labels >= len(split.classes))
            problems += [
                Problem(
                    what=f"its label is {int(label)}, outside 0…{len(split.classes) - 1}",
                    where=f"{name} image {int(row)}",
                )
                for row, label in zip(index_B[wrong], labels[wrong], strict=True)
            ]
            labels = labels.clamp(0, len(split.classes) - 1)
        yield Seen(
            split=name,
            rows=index_B.numpy(),
            digests=digests_of(split.images(index_B).numpy()),
            labels=None if labels is None else labels.numpy(),
        )
        tally.add(len(index_B))
