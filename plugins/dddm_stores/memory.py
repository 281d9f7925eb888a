"""Rows in memory: the machine's, or the device's."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from dddm.errors import EnvironmentProblem
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage
from dddm.support.quantities import size
from dddm_stores.place import Place, Where, word_of
from dddm_stores.state import part_of


def _zeros(size: tuple[int, int], *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros; in main memory numpy's, because torch's touch every page."""
    if device.type != "cpu":
        return torch.zeros(size, dtype=dtype, device=device)
    rows, words = size
    flat = np.zeros(rows * words, str(dtype).removeprefix("torch."))
    return torch.from_numpy(flat).view(size)


@final
class MemoryPlace(Place):
    """One tensor, whose memory the system provides when a row is first written."""

    def __init__(self, *, on_device: bool) -> None:
        self._on_device = on_device
        self._rows_nR = torch.empty(0, 0, dtype=torch.uint8)
        self._span: dict[int, slice] = {}

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self._rows_nR.device

    @property
    def waits(self) -> bool:
        """No."""
        return False

    def memory_usage(self, *, rows: int, row_bytes: int, kept_snapshots: int) -> MemoryUsage:
        """Every row once: snapshots are whole, and in checkpoints."""
        del kept_snapshots
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
        """Reserve the rows.

        Raises:
            EnvironmentProblem: if there is not that much memory.
        """
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

    def read(self, part: Where) -> Tensor:
        """One gathering copy."""
        row_B = part.row.to(self._rows_nR.device)
        return self._rows_nR.index_select(0, row_B).view(torch.uint8)

    def write(self, where: Where, *, rows: Tensor) -> None:
        """One scattering copy."""
        row_B = where.row.to(self._rows_nR.device)
        given_BR = rows.to(self._rows_nR.device).view(self._rows_nR.dtype)
        self._rows_nR.index_copy_(0, row_B, given_BR)

    def flush(self) -> None:
        """Nothing: what is in memory outlives the process in a checkpoint alone."""

    def snapshot(self, shard: int) -> Mapping[str, Tensor]:
        """`rows`: (n, R), uint8; those never written are zeros."""
        return {"rows": self._rows_nR[self._span[shard]].view(torch.uint8).cpu()}

    def restore(self, shard: int, state: Mapping[str, Tensor]) -> None:
        """Copy the rows.

        Raises:
            ValueError: if they are of another shape.
        """
        mine_nR = self._rows_nR[self._span[shard]]
        rows_nR = part_of(state, "rows", like=mine_nR.view(torch.uint8), shard=shard)
        mine_nR.copy_(rows_nR.view(mine_nR.dtype))
