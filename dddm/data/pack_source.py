"""What can be packed: images that are known by number before any is decoded.  Imports no torch.

A source is sent to worker processes, so it and its chunks must be picklable and small, and their
modules should import no torch.
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
    """Images that one worker decodes at a time: the unit in which packing is resumed.

    Attributes:
        images: how many it holds.
        content: what the source needs to find them; picklable.
    """

    images: int
    content: Any = field(eq=False)


@final
@frozen(kw_only=True)
class PackPlan:
    """What will be packed, known before any image is decoded.

    Attributes:
        classes: names in the order of their labels; empty where there are none.
        splits: how many images each has, by name; always `train`.
        chunks: all images, each in one chunk.
        notes: how often something was met on the way, such as a file that is no image.
    """

    shape: ImageShape
    classes: tuple[str, ...]
    splits: Mapping[str, int]
    chunks: Sequence[Chunk] = field(repr=False)
    notes: Mapping[str, int] = field(factory=dict)


@final
@frozen(kw_only=True, eq=False)
class Block:
    """Decoded images and where they belong.

    Attributes:
        split: its name.
        rows: (n,), int64, ascending: their numbers within the split.
        images: (n, C, H, W), uint8.
        labels: (n,), int64; None where there are no classes.
        notes: how often something was done to an image, such as `grey → rgb`, by what it was.
    """

    split: str
    rows: npt.NDArray[np.int64]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    notes: Mapping[str, int] = field(factory=dict)


class PackSource(ABC):
    """Files of images, of one kind."""

    @abstractmethod
    def is_there(self) -> bool:
        """Whether the files, or the folder that holds them, can be found."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Plain values that change whenever what would be packed does.

        They hold the options and, of every file, its name, size and time of change.

        Raises:
            DataError: if the files are not there.
        """

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """Plain values for the manifest: where the images came from and how they were converted."""

    @abstractmethod
    def plan(self) -> PackPlan:
        """What will be packed.

        Raises:
            DataError: if there is nothing to pack, or what there is cannot be used.
        """

    @abstractmethod
    def decode(self, chunk: Chunk) -> Iterator[Block | Problem]:
        """The chunk's images, each once, or what is wrong with an image.

        Raises:
            DataError: if nothing of the chunk can be used.
        """

    def name_of(self, plan: PackPlan, *, split: str, row: int) -> str:
        """What a person calls an image: its file, where it has one of its own."""
        del plan
        return f"{split} image {row}"

    def refusal(self, plan: PackPlan, problem: Problem) -> DataError:
        """The error with which packing stops at a problem."""
        del plan
        return DataError(
            problem.what,
            where=problem.where,
            remedy=problem.remedy or "mend or remove it; `dddm data check RECIPE` names all",
        )
