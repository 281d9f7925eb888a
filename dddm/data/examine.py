"""Look at every image, before or after packing: what `dddm data check` reports."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from dddm.data.source import Chunk, LeftOut, PackSource, emptied
from dddm.data.workers import Count, ImageCounter, map_chunks
from dddm.errors import DataError
from dddm.interfaces.data_report import (
    DataReport,
    Problem,
    ProgressCallback,
    SplitReport,
    no_progress,
)

if TYPE_CHECKING:  # worker processes must not wait for torch
    from dddm.interfaces.dataset import Dataset, Split

_DIGEST_BYTES: Final = 16
_BATCH_IMAGES: Final = 1024


@final
@frozen(kw_only=True, eq=False)
class _Digests:
    """Images of a split, each as a digest that is equal only if all pixels are.

    Attributes:
        rows: (n,), int64.
        digests: n of them.
        labels: (n,), int64; None if there are no classes.
    """

    split: str
    rows: npt.NDArray[np.int64]
    digests: Sequence[bytes]
    labels: npt.NDArray[np.int64] | None

    @classmethod
    def of(
        cls,
        images: npt.NDArray[np.uint8],
        *,
        split: str,
        rows: npt.NDArray[np.int64],
        labels: npt.NDArray[np.int64] | None,
    ) -> "_Digests":
        digests = [
            hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGEST_BYTES).digest()
            for image in images
        ]
        return cls(split=split, rows=rows, digests=digests, labels=labels)


@final
@frozen(kw_only=True, eq=False)
class _ExaminedChunk:
    images: Sequence[_Digests]
    problems: Sequence[Problem]
    left_out: Sequence[Problem]
    notes: Mapping[str, int]


@final
@frozen(kw_only=True)
class _ExamineChunk:
    source: PackSource

    def __call__(self, chunk: Chunk, count: Count) -> _ExaminedChunk:
        images: list[_Digests] = []
        problems: list[Problem] = []
        left_out: list[Problem] = []
        notes: Counter[str] = Counter()
        try:
            for decoded in self.source.decode(chunk):
                if isinstance(decoded, Problem | LeftOut):
                    if isinstance(decoded, LeftOut):
                        left_out.append(decoded.problem)
                    else:
                        problems.append(decoded)
                    count(1)
                    continue
                images.append(
                    _Digests.of(
                        decoded.images,
                        split=decoded.split,
                        rows=decoded.rows,
                        labels=decoded.labels,
                    )
                )
                notes.update(decoded.notes)
                count(len(decoded.rows))
        except DataError as error:
            where = error.where or "the images"
            problems.append(Problem(what=error.what, where=where, remedy=error.remedy))
        return _ExaminedChunk(
            images=images, problems=problems, left_out=left_out, notes=dict(notes)
        )


def examine_source(source: PackSource, *, workers: int, progress: ProgressCallback) -> DataReport:
    """Decode every image of a source once.

    Raises:
        DataError: if there is nothing to examine.
    """
    plan = source.plan()
    counter = ImageCounter("reading images", sum(plan.splits.values()), progress)
    work = _ExamineChunk(source=source)
    numbered = dict(enumerate(plan.chunks))
    chunks = [chunk for _, chunk in map_chunks(work, numbered, workers=workers, counter=counter)]
    notes: Counter[str] = Counter(plan.notes)
    for chunk in chunks:
        notes.update(chunk.notes)
    report = _report(
        (images for chunk in chunks for images in chunk.images),
        shape=str(plan.shape),
        splits=plan.splits,
        classes=plan.classes,
        problems=sorted(
            (problem for chunk in chunks for problem in chunk.problems),
            key=lambda problem: problem.where,
        ),
        notes=[f"{note}: {times:,}" for note, times in sorted(notes.items())],
        image_name=lambda split, row: source.image_name(plan, split=split, row=row),
    )
    left_out = [problem for chunk in chunks for problem in chunk.left_out]
    if not left_out:
        return report
    nothing_left = [
        problem
        for name, split in report.splits.items()
        if (
            problem := emptied(
                name,
                images=split.images,
                empty_classes=[name for name, images in split.classes.items() if not images],
            )
        )
    ]
    return evolve(
        report,
        left_out=tuple(sorted(left_out, key=lambda problem: problem.where)),
        problems=(*report.problems, *nothing_left),
    )


def examine_dataset(
    dataset: "Dataset", *, progress: ProgressCallback = no_progress, workers: int | None = None
) -> DataReport:
    """The data set's own report, or else one of its splits."""
    report = dataset.check(progress=progress, workers=workers)
    return report or examine_splits(dataset.splits(), progress=progress)


def examine_splits(splits: "Mapping[str, Split]", *, progress: ProgressCallback) -> DataReport:
    """Read every image of the splits once, in order."""
    counter = ImageCounter("reading images", sum(map(len, splits.values())), progress)
    problems: list[Problem] = []
    images = [
        batch
        for name, split in splits.items()
        for batch in _read_split(name, split, counter=counter, problems=problems)
    ]
    return _report(
        images,
        shape=", ".join(sorted({str(split.shape) for split in splits.values()})),
        splits=splits,
        classes=next(iter(splits.values())).classes,
        problems=problems,
        notes=(),
        image_name=lambda name, row: f"{name} image {row}",
    )


def _read_split(
    name: str, split: "Split", *, counter: ImageCounter, problems: list[Problem]
) -> Iterator[_Digests]:
    import torch

    highest = len(split.classes) - 1
    for index_B in torch.split(torch.arange(len(split)), _BATCH_IMAGES):
        labels = split.labels(index_B)
        if labels is not None:
            wrong = (labels < 0) | (labels > highest)
            problems += [
                Problem(
                    what=f"its label is {int(label)}, outside 0…{highest}",
                    where=f"{name} image {int(row)}",
                )
                for row, label in zip(index_B[wrong], labels[wrong], strict=True)
            ]
            labels = labels.clamp(0, highest)
        yield _Digests.of(
            split.images(index_B).numpy(),
            split=name,
            rows=index_B.numpy(),
            labels=None if labels is None else labels.numpy(),
        )
        counter.add(len(index_B))


def _report(
    images: Iterable[_Digests],
    *,
    shape: str,
    splits: Iterable[str],
    classes: Sequence[str],
    problems: Sequence[Problem],
    notes: Sequence[str],
    image_name: Callable[[str, int], str],
) -> DataReport:
    """Count images and labels, and group equal images."""
    counts: Counter[str] = Counter()
    labels = {split: np.zeros(len(classes), np.int64) for split in splits}
    places: dict[bytes, list[tuple[str, int]]] = {}
    for batch in images:
        counts[batch.split] += len(batch.rows)
        if batch.labels is not None and len(classes):
            labels[batch.split] += np.bincount(batch.labels, minlength=len(classes))
        for digest, row in zip(batch.digests, batch.rows.tolist(), strict=True):
            places.setdefault(digest, []).append((batch.split, row))
    return DataReport(
        shape=shape,
        splits={
            split: SplitReport(
                images=counts[split],
                classes=dict(zip(classes, labels[split].tolist(), strict=True)),
            )
            for split in labels
        },
        problems=tuple(problems),
        duplicates=tuple(
            tuple(image_name(split, row) for split, row in sorted(group))
            for group in sorted(group for group in places.values() if len(group) > 1)
        ),
        notes=tuple(notes),
    )
