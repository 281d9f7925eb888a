"""Interface of a source of images that can be packed.

A source is sent to worker processes: it and its chunks must be picklable and small, and its module
should not import torch, which takes a second to import.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.interfaces.info import ImageShape


@final
@frozen(kw_only=True)
class Chunk:
    """Images that one worker decodes at a time; interrupted packing resumes at chunk boundaries.

    Attributes:
        images: number of images.
        payload: what the source needs to find them; picklable.
    """

    images: int
    payload: Any = field(eq=False)


@final
@frozen(kw_only=True)
class PackPlan:
    """What will be packed, known before any image is decoded.

    Attributes:
        classes: names in the order of their labels; empty if there are no classes.
        splits: number of images of each split by name; always includes `train`.
        class_images: training images of each class; empty if there are none, or it is not known.
        chunks: together hold every image once.
        notes: counts of observations, such as files that are not images.
    """

    shape: ImageShape
    classes: tuple[str, ...]
    splits: Mapping[str, int]
    chunks: Sequence[Chunk] = field(repr=False)
    notes: Mapping[str, int] = field(factory=dict)
    class_images: tuple[int, ...] = ()


@final
@frozen(kw_only=True, eq=False)
class DecodedImages:
    """Images (n, C, H, W), uint8, of one split, with their positions in it.

    Attributes:
        rows: (n,), int64, ascending: indices within the split.
        labels: (n,), int64; None if there are no classes.
        notes: counts of conversions, such as `grey → rgb`.
    """

    split: str
    rows: npt.NDArray[np.int64]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    notes: Mapping[str, int] = field(factory=dict)


@final
@frozen(kw_only=True)
class LeftOut:
    """An image that is left out because it is damaged, and the options say so."""

    split: str
    row: int
    problem: Problem


def emptied(split: str, *, images: int, empty_classes: Sequence[str]) -> Problem | None:
    """What is wrong if the images that were left out were all of a split or class."""
    if images and not (empty_classes and split == "train"):
        return None
    whole = f"the class {empty_classes[0]} of " if images else ""
    return Problem(
        what=f"all images of {whole}the split {split} are damaged",
        where=f"the split {split}",
        remedy="get the images again, or remove the folder of that class",
    )


class PackSource(ABC):
    """Image files of one kind."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether the files, or the folder that holds them, can be found."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """JSON values that change whenever the packed result would.

        They hold the options, and name, size and modification time of every file.

        Raises:
            DataError: if the files are missing.
        """

    @abstractmethod
    def provenance(self) -> Mapping[str, Any]:
        """JSON values for the manifest: where the images came from and how they were converted."""

    @abstractmethod
    def plan(self) -> PackPlan:
        """List what will be packed.

        Raises:
            DataError: if there is nothing to pack, or the files cannot be used.
        """

    @abstractmethod
    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem | LeftOut]:
        """Each image of the chunk once, or what is wrong with it, or that it is left out.

        Raises:
            DataError: if nothing of the chunk can be used.
        """

    def look(self, plan: PackPlan) -> Iterator[Problem]:
        """What a look at some of the planned images finds, in a second; by default nothing."""
        del plan
        return iter(())

    def image_name(self, plan: PackPlan, *, split: str, row: int) -> str:
        """How reports name an image: by default its split and index."""
        del plan
        return f"{split} image {row}"

    def packing_error(self, plan: PackPlan, problem: Problem) -> DataError:
        """The error with which packing stops at `problem`."""
        del plan
        return DataError(
            problem.what,
            where=problem.where,
            remedy=problem.remedy
            or "replace or remove it; `dddm data check RECIPE` lists all problems",
        )
