"""Rows in files, one for each shard: processes share a folder and no file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage
from dddm_stores.shard_file import ShardFile, Snapshot
from dddm_stores.storage import RowLocation, Storage, checked_tensor

_NOTE_BYTES: Final = 4
"""What is noted down of a row in memory, an int32 each."""


@final
class DiskStorage(Storage):
    """The files `shard-0007.rows` of the shards that this process owns, mapped into memory."""

    def __init__(self) -> None:
        self._files: dict[int, ShardFile] = {}
        self._row_bytes = 0

    @property
    def waits(self) -> bool:
        return True

    def memory_usage(self, *, rows: int, row_bytes: int, kept_snapshots: int) -> MemoryUsage:
        """The rows as they are, and those of each snapshot kept."""
        versions = kept_snapshots + 1
        notes = versions + 1  # where each is, and the sum of the present one
        return MemoryUsage(memory=rows * notes * _NOTE_BYTES, disk=rows * row_bytes * versions)

    def open(
        self,
        *,
        shards: Shards,
        row_bytes: int,
        folder: Path,
        device: torch.device,
        kept_snapshots: int,
    ) -> None:
        del device
        self._row_bytes = row_bytes
        self._files = {
            shard: ShardFile(
                folder / f"shard-{shard:04d}.rows",
                rows=shards.size(shard),
                row_bytes=row_bytes,
                kept_snapshots=kept_snapshots,
            )
            for shard in shards.owned
        }

    def parts(self, where: RowLocation) -> Sequence[tuple[slice | Tensor, RowLocation]]:
        """Shard by shard, which are in the disk's queue all at once before the first is read."""
        parts = [(chosen, where[chosen]) for chosen in _by_shard(where)]
        for _, part in parts:
            self._file_of(part).prefetch(part.place)
        return parts

    def read(self, part: RowLocation) -> Tensor:
        return self._file_of(part).read(part.place)

    def _file_of(self, part: RowLocation) -> ShardFile:
        return self._files[int(part.shard[0])]

    def write(self, where: RowLocation, *, rows: Tensor) -> None:
        rows_BR = rows.cpu()
        for chosen in _by_shard(where):
            part = where[chosen]
            self._file_of(part).write(part.place, rows=rows_BR[chosen].contiguous())

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def snapshot(self, shard: int) -> Mapping[str, Tensor]:
        """Where the rows are.

        `at`: (n,), int32, the row's place in the file; -1 for one that was never written.
        `sums`: (n,), int32, the bits of the row's CRC-32.
        `held`: (k, n), int32, the same for this snapshot and those before it that are kept.
        """
        snapshot = self._files[shard].snapshot()
        return {
            "at": torch.from_numpy(snapshot.at_n),
            "sums": torch.from_numpy(snapshot.sum_n.view(np.int32)),
            "held": torch.from_numpy(snapshot.held_kn),
        }

    def restore(self, shard: int, state: Mapping[str, Tensor]) -> None:
        file = self._files[shard]
        at_n = checked_tensor(state, "at", like=torch.from_numpy(file.at_n), shard=shard)
        sum_n = checked_tensor(state, "sums", like=at_n, shard=shard)
        held_kn = state.get("held")
        if held_kn is None or held_kn.shape[1:] != at_n.shape or held_kn.dtype != at_n.dtype:
            raise ValueError(f"the store's state, shard {shard}: held does not fit")
        file.restore(
            Snapshot(
                at_n=at_n.numpy(), sum_n=sum_n.numpy().view(np.uint32), held_kn=held_kn.numpy()
            )
        )

    def verify(self) -> Iterator[int]:
        for file in self._files.values():
            yield from file.verify()

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}


def _by_shard(where: RowLocation) -> Iterator[slice | Tensor]:
    """For each shard, which of the batch are its; slices where they stand together."""
    shards, counts = torch.unique_consecutive(where.shard, return_counts=True)
    if len(shards.unique()) == len(shards):
        first = 0
        for count in counts.tolist():
            yield slice(first, first + count)
            first += count
        return
    for shard in shards.unique():
        yield (where.shard == shard).nonzero().flatten()
