"""Where a store keeps its rows of bytes.

Legend: B rows asked for, R bytes in a row, n rows of one shard.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import EnvironmentProblem
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage
from dddm.support.quantities import size

_WORDS: Final = (torch.int64, torch.int32, torch.int16)


@final
@frozen(kw_only=True)
class RowLocation:
    """Rows of a batch.

    Attributes:
        shard: (B,), int64, CPU: the shard of each, one that this process owns.
        place: (B,), int64, CPU: its place in that shard.
        row: (B,), int64, CPU: its number among all rows of this process, shard after shard.
    """

    shard: Tensor
    place: Tensor
    row: Tensor

    def __getitem__(self, chosen: slice | Tensor) -> "RowLocation":
        """Those that `chosen` picks."""
        return RowLocation(shard=self.shard[chosen], place=self.place[chosen], row=self.row[chosen])


def word_of(row_bytes: int) -> torch.dtype:
    """The widest integer that divides a row: torch gathers number by number."""
    return next((word for word in _WORDS if row_bytes % word.itemsize == 0), torch.uint8)


class Storage(ABC):
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

    def parts(self, where: RowLocation) -> Sequence[tuple[slice | Tensor, RowLocation]]:
        """What is read at once of a batch: which rows of it, and where those are."""
        return [(slice(None), where)]

    @abstractmethod
    def read(self, part: RowLocation) -> Tensor:
        """Rows (B, R), uint8, of one of `parts`, that were written before; fresh memory."""

    @abstractmethod
    def write(self, where: RowLocation, *, rows: Tensor) -> None:
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

    def verify(self) -> Iterator[int]:
        """Compare rows that stayed where they were with what was written; how many at a time.

        Raises:
            EstimatesLost: if some are not.
        """
        return iter(())

    def close(self) -> None:  # noqa: B027 - to do nothing is right
        """Close files."""


def checked_tensor(state: Mapping[str, Tensor], name: str, *, like: Tensor, shard: int) -> Tensor:
    """The tensor `name` of a shard's state, which has the type and shape of `like`.

    Raises:
        ValueError: if it is missing or another.
    """
    found = state.get(name)
    if found is None or found.dtype != like.dtype or found.shape != like.shape:
        has = "is missing" if found is None else f"is {_describe(found)}"
        raise ValueError(f"the store's state, shard {shard}: {name} {has}, not {_describe(like)}")
    return found


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"


def _zeros(size: tuple[int, int], *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros; in main memory numpy's, because torch's touch every page."""
    if device.type != "cpu":
        return torch.zeros(size, dtype=dtype, device=device)
    rows, words = size
    flat = np.zeros(rows * words, str(dtype).removeprefix("torch."))
    return torch.from_numpy(flat).view(size)


@final
class MemoryStorage(Storage):
    """One tensor, whose memory the system provides when a row is first written."""

    def __init__(self, *, on_device: bool) -> None:
        self._on_device = on_device
        self._rows_nR = torch.empty(0, 0, dtype=torch.uint8)
        self._span: dict[int, slice] = {}

    @property
    def device(self) -> torch.device:
        return self._rows_nR.device

    @property
    def waits(self) -> bool:
        return False

    def memory_usage(self, *, rows: int, row_bytes: int, kept_snapshots: int) -> MemoryUsage:
        del kept_snapshots  # they are whole, and in checkpoints
        taken = rows * row_bytes
        return MemoryUsage(device=taken) if self._on_device else MemoryUsage(memory=taken)

    def open(
        self,
        *,
        shards: Shards,
        row_bytes: int,
        folder: Path,
        device: torch.device,
        kept_snapshots: int,
    ) -> None:
        del folder, kept_snapshots
        place = device if self._on_device else torch.device("cpu")
        word = word_of(row_bytes)
        try:
            self._rows_nR = _zeros(
                (shards.rows, row_bytes // word.itemsize), dtype=word, device=place
            )
        except (MemoryError, RuntimeError) as error:
            raise EnvironmentProblem(
                f"the target store does not fit into the memory of {place}: {shards.rows:,} "
                f"estimates take {size(shards.rows * row_bytes)}",
                where="targets",
                remedy='use targets.precision = "float16", targets.use = "mmap", or more '
                "processes, which share them",
            ) from error
        self._span, first = {}, 0
        for shard in shards.owned:
            self._span[shard] = slice(first, first + shards.size(shard))
            first += shards.size(shard)

    def read(self, part: RowLocation) -> Tensor:
        row_B = part.row.to(self._rows_nR.device, non_blocking=True)
        return self._rows_nR.index_select(0, row_B).view(torch.uint8)

    def write(self, where: RowLocation, *, rows: Tensor) -> None:
        row_B = where.row.to(self._rows_nR.device, non_blocking=True)
        given_BR = rows.to(self._rows_nR.device).view(self._rows_nR.dtype)
        self._rows_nR.index_copy_(0, row_B, given_BR)

    def flush(self) -> None:
        """Nothing: what is in memory outlives the process in a checkpoint alone."""

    def snapshot(self, shard: int) -> Mapping[str, Tensor]:
        """`rows`: (n, R), uint8; those never written are zeros."""
        return {"rows": self._rows_nR[self._span[shard]].view(torch.uint8).cpu()}

    def restore(self, shard: int, state: Mapping[str, Tensor]) -> None:
        mine_nR = self._rows_nR[self._span[shard]]
        rows_nR = checked_tensor(state, "rows", like=mine_nR.view(torch.uint8), shard=shard)
        mine_nR.copy_(rows_nR.view(mine_nR.dtype))
