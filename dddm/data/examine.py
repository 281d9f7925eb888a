"""Looks through images, before or after they are packed: what `dddm data check` reports."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.data.pack_source import Block, Chunk, PackSource
from dddm.data.workers import Count, Tally, over_chunks
from dddm.errors import DataError
from dddm.interfaces.data_report import DataReport, Problem, ProgressCallback, SplitReport

_DIGEST_BYTES: Final = 16


@final
@frozen(kw_only=True, eq=False)
class Seen:
    """Images of one split that were looked at.

    Attributes:
        rows: (n,), int64.
        digests: of each image's pixels, `_DIGEST_BYTES` long.
        labels: (n,), int64; None where there are no classes.
    """

    split: str
    rows: npt.NDArray[np.int64]
    digests: Sequence[bytes]
    labels: npt.NDArray[np.int64] | None


@final
@frozen(kw_only=True, eq=False)
class Examined:
    """What was found in a chunk."""

    seen: Sequence[Seen]
    problems: Sequence[Problem]
    notes: Mapping[str, int]


@final
@frozen(kw_only=True)
class ExamineChunk:
    """Decodes a chunk and keeps of each image its digest alone."""

    source: PackSource

    def __call__(self, chunk: Chunk, count: Count) -> Examined:
        """All that is wrong with the chunk, and what is in it."""
        seen: list[Seen] = []
        problems: list[Problem] = []
        notes: Counter[str] = Counter()
        try:
            for block in self.source.decode(chunk):
                if isinstance(block, Problem):
                    problems.append(block)
                    count(1)
                    continue
                seen.append(_seen(block))
                notes.update(block.notes)
                count(len(block.rows))
        except DataError as error:
            where = error.where or "the images"
            problems.append(Problem(what=error.what, where=where, remedy=error.remedy))
        return Examined(seen=seen, problems=problems, notes=dict(notes))


def digests_of(images: npt.NDArray[np.uint8]) -> list[bytes]:
    """One for each image (n, …): equal exactly where all pixels are."""
    return [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGEST_BYTES).digest()
        for image in images
    ]


def _seen(block: Block) -> Seen:
    digests = digests_of(block.images)
    return Seen(split=block.split, rows=block.rows, digests=digests, labels=block.labels)


def examine_source(source: PackSource, *, workers: int, progress: ProgressCallback) -> DataReport:
    """Decode every image of a source, once, and say what was found.

    Raises:
        DataError: if there is nothing to look through.
    """
    plan = source.plan()
    tally = Tally("looking at images", sum(plan.splits.values()), progress)
    chunks = dict(enumerate(plan.chunks))
    found = [
        examined
        for _, examined in over_chunks(
            ExamineChunk(source=source), chunks, workers=workers, tally=tally
        )
    ]
    notes: Counter[str] = Counter(plan.notes)
    for examined in found:
        notes.update(examined.notes)
    return findings_of(
        (seen for examined in found for seen in examined.seen),
        shape=str(plan.shape),
        splits=plan.splits,
        classes=plan.classes,
        problems=sorted(
            (problem for examined in found for problem in examined.problems),
            key=lambda problem: problem.where,
        ),
        notes=[f"{what}: {times:,}" for what, times in sorted(notes.items())],
        name_of=lambda split, row: source.name_of(plan, split=split, row=row),
    )


def findings_of(
    seen: Iterable[Seen],
    *,
    shape: str,
    splits: Iterable[str],
    classes: Sequence[str],
    problems: Sequence[Problem],
    notes: Sequence[str],
    name_of: Callable[[str, int], str],
) -> DataReport:
    """Sum up what was seen, and find images that are equal."""
    images: Counter[str] = Counter()
    labels = {split: np.zeros(len(classes), np.int64) for split in splits}
    places: dict[bytes, list[tuple[str, int]]] = {}
    for one in seen:
        images[one.split] += len(one.rows)
        if one.labels is not None and len(classes):
            labels[one.split] += np.bincount(one.labels, minlength=len(classes))
        for digest, row in zip(one.digests, one.rows.tolist(), strict=True):
            places.setdefault(digest, []).append((one.split, row))
    groups = sorted(group for group in places.values() if len(group) > 1)
    return DataReport(
        shape=shape,
        splits={
            split: SplitReport(
                images=images[split],
                classes=dict(zip(classes, labels[split].tolist(), strict=True)),
            )
            for split in labels
        },
        problems=tuple(problems),
        duplicates=tuple(
            tuple(name_of(split, row) for split, row in sorted(group)) for group in groups
        ),
        notes=tuple(notes),
    )
