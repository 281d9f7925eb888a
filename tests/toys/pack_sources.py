"""Images to pack that are made up: known by their numbers alone, with mishaps on demand."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from attrs import frozen

from dddm.data.source import Chunk, DecodedImages, PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.interfaces.info import ImageShape

SHAPE = ImageShape(channels=3, height=2, width=5)
CLASSES = ("even", "odd")


def pixels(split: str, row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    seed = [row, len(split)]
    return np.random.default_rng(seed).integers(0, 256, SHAPE.as_tuple, dtype=np.uint8)


@final
@frozen(kw_only=True)
class ToySource(PackSource):
    """Images of random pixels.

    Attributes:
        log: a file to which each decoded chunk adds a line; None for none.
        broken: rows of `train` that cannot be decoded.
        equal: images, by split and row, that are the same.
        stop_before: chunk of `train` that fails as a whole while this file exists.
    """

    train: int = 10
    held_out: int = 4
    chunk: int = 3
    classes: tuple[str, ...] = CLASSES
    version: int = 0
    log: Path | None = None
    broken: tuple[int, ...] = ()
    equal: frozenset[tuple[str, int]] = frozenset()
    stop_before: tuple[int, Path] | None = None
    there: bool = True

    def exists(self) -> bool:
        return self.there

    def identity(self) -> Mapping[str, Any]:
        if not self.there:
            raise DataError("the toy is not there")
        return {"version": self.version, "train": self.train, "classes": list(self.classes)}

    def provenance(self) -> Mapping[str, Any]:
        return {"kind": "toy"}

    def plan(self) -> PackPlan:
        splits = {"train": self.train, "held-out": self.held_out}
        return PackPlan(
            shape=SHAPE,
            classes=self.classes,
            splits={name: count for name, count in splits.items() if count},
            chunks=[
                Chunk(images=min(self.chunk, count - first), payload=(split, first))
                for split, count in splits.items()
                for first in range(0, count, self.chunk)
            ],
            notes={"planned": 1},
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        split, first = chunk.payload
        if self.stop_before == (first, *(self.stop_before or ())[1:]) and split == "train":
            assert self.stop_before is not None
            if self.stop_before[1].exists():
                raise DataError("the power went")
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{split} {first}\n")
        for row in range(first, first + chunk.images):
            if split == "train" and row in self.broken:
                yield Problem(what="it is broken", where=f"row {row}")
                continue
            yield DecodedImages(
                split=split,
                rows=np.array([row]),
                images=pixels(*(("train", 99) if (split, row) in self.equal else (split, row)))[
                    None
                ],
                labels=np.array([row % 2]) if self.classes else None,
                notes={"decoded": 1},
            )
