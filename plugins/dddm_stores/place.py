"""Where a store keeps its rows of bytes.

Legend: B rows asked for, R bytes in a row, n rows of one shard.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage

_WORDS: Final = (torch.int64, torch.int32, torch.int16)


@final
@frozen(kw_only=True)
class Where:
    """Rows of a batch.

    Attributes:
        shard: (B,), int64, CPU: the shard of each, one that this process owns.
        place: (B,), int64, CPU: its place in that shard.
        row: (B,), int64, CPU: its number among all rows of this process, shard after shard.
    """

    shard: Tensor
    place: Tensor
    row: Tensor

    def __getitem__(self, chosen: slice | Tensor) -> "Where":
        """Those that `chosen` picks."""
        return Where(shard=self.shard[chosen], place=self.place[chosen], row=self.row[chosen])


def word_of(row_bytes: int) -> torch.dtype:
    """The widest integer that divides a row: torch gathers number by number."""
    return next((word for word in _WORDS if row_bytes % word.itemsize == 0), torch.uint8)


class Place(ABC):
    """Rows of bytes, some of which have never been written."""

    @abstractmethod
    def memory_usage(self, *, rows: int, row_bytes: int, kept_snapshots: int) -> MemoryUsage:
        """What so many rows take."""

    @abstractmethod
    def open(
        self,
        *,
        shards: Shards,
        row_bytes: int,
        folder: Path,
        device: torch.device,
        kept_snapshots: int,
    ) -> None:
        """Make room, which is not touched before it is written.

        Raises:
            EnvironmentProblem: if there is not enough.
        """

    @property
    def device(self) -> torch.device:
        """Where rows that are read arrive."""
        return torch.device("cpu")

    @property
    @abstractmethod
    def waits(self) -> bool:
        """Whether reading may have to wait, so that it is better begun early."""

    def parts(self, where: Where) -> Sequence[tuple[slice | Tensor, Where]]:
        """What is read at once of a batch: which rows of it, and where those are."""
        return [(slice(None), where)]

    @abstractmethod
    def read(self, part: Where) -> Tensor:
        """Rows (B, R), uint8, of one of `parts`, that were written before; fresh memory."""

    @abstractmethod
    def write(self, where: Where, *, rows: Tensor) -> None:
        """Replace rows by (B, R), uint8; all or, where that fails, none.

        Raises:
            EnvironmentProblem: if there is no space.
        """

    @abstractmethod
    def flush(self) -> None:
        """Bring what was written to where it survives a crash of the machine."""

    @abstractmethod
    def snapshot(self, shard: int) -> Mapping[str, Tensor]:
        """The shard's rows, or where they are; may share memory."""

    @abstractmethod
    def restore(self, shard: int, state: Mapping[str, Tensor]) -> None:
        """Return to what `snapshot` gave.

        Raises:
            ValueError: if the state does not fit.
            EstimatesLost: if it says where rows are, and they are no longer there.
        """

    def prove(self) -> Iterator[int]:
        """Compare rows that stayed where they were with what was written; how many at a time.

        Raises:
            EstimatesLost: if some are not.
        """
        return iter(())

    def close(self) -> None:  # noqa: B027 - to do nothing is right
        """Close files."""
