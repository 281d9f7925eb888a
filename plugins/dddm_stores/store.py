"""X̂ as rows of bytes: one precision, at one place.

A row gets its noise when it is read, not when the store is opened: a store of 31 GB is ready at
once, and rows that were never written take no space.

Legend: n rows of a shard, B images asked for, C channels, H rows, W columns, R bytes in a row.
"""

import math
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, Literal, final

import torch
from torch import Tensor

from dddm.interfaces.data_report import ProgressCallback, no_progress
from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.support.cache import key_of
from dddm.support.files import user_path
from dddm.support.noise import noise_by_index
from dddm.support.single_thread_executor import single_thread_executor
from dddm_stores.disk import DiskStorage
from dddm_stores.options import MmapOptions, PlaceOptions, PrecisionOptions
from dddm_stores.precision import Floating, Int8, Precision
from dddm_stores.storage import MemoryStorage, RowLocation, Storage, checked_tensor

_NEVER: Final = -1
_INDICES_NAMED: Final = 8
_VERIFYING: Final = "comparing estimates with their checksums"


@final
class RowStore(TargetStore):
    """Rows of one precision at one place.  Nothing is shared with a caller's tensors."""

    def __init__(
        self, *, precision: Precision, place: Storage, elsewhere: str | None = None
    ) -> None:
        self._precision = precision
        self._elsewhere = None if elsewhere is None else user_path(elsewhere)
        self._storage = place
        self._shards = Shards(images=0, count=1, owned=())
        self._shape = (0, 0, 0)
        self._seed = 0
        self._device = torch.device("cpu")
        self._initial: Literal["noise", "zeros"] = "noise"
        self._epoch = _NEVER
        self._first_row_S = torch.empty(0, dtype=torch.int64)
        self._written_n = torch.empty(0, dtype=torch.int32)
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: tuple[Tensor, Future[Tensor]] | None = None

    def memory_usage(self, *, rows: int, shape: ImageShape, kept_snapshots: int) -> MemoryUsage:
        row_bytes = self._precision.row_bytes(shape.values)
        return self._storage.memory_usage(
            rows=rows, row_bytes=row_bytes, kept_snapshots=kept_snapshots
        )

    def choose_folder(self, folder: Path) -> Path:
        if self._elsewhere is None:
            return folder
        memory = folder.absolute().parent
        run = f"{memory.parent.name}-{key_of(str(memory))[:12]}"
        return self._elsewhere / run / folder.name

    def open(
        self,
        *,
        shards: Shards,
        shape: ImageShape,
        seed: int,
        folder: Path,
        device: torch.device,
        kept_snapshots: int,
        initial: Literal["noise", "zeros"] = "noise",
    ) -> None:
        self._shards, self._shape, self._seed = shards, shape.as_tuple, seed
        self._device = device
        self._initial = initial
        self._epoch = _NEVER
        self._first_row_S = torch.full((shards.count,), -1)
        first = 0
        for shard in shards.owned:
            self._first_row_S[shard] = first
            first += shards.size(shard)
        # The epoch in which each row was last written.
        self._written_n = torch.full((first,), _NEVER, dtype=torch.int32)
        self._storage.open(
            shards=shards,
            row_bytes=self._precision.row_bytes(shape.values),
            folder=folder,
            device=device,
            kept_snapshots=kept_snapshots,
        )

    def begin_epoch(self, epoch: int) -> None:
        if epoch < self._epoch:
            raise ValueError(f"epoch {epoch} after epoch {self._epoch}")
        self._epoch = epoch

    def prefetch(self, index: Tensor) -> None:
        where = self._find(index)
        known = bool((self._written_n[where.row] != _NEVER).all())
        if known and not self._storage.waits and not self._travels:
            return
        if self._thread is None:
            self._thread = single_thread_executor("dddm-store")
        self._ahead = (index, self._thread.submit(self._gather, index, where))

    def read(self, index: Tensor) -> Tensor:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and torch.equal(ahead[0], index):
            return self._arrived(ahead[1].result())
        return self.peek(index)

    def peek(self, index: Tensor) -> Tensor:
        return self._arrived(self._gather(index, self._find(index)))

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        where = self._find(index)
        self._refuse_second_write(index, where)
        expected = (len(index), *self._shape)
        if estimate.shape != expected:
            raise ValueError(f"estimates of shape {tuple(estimate.shape)}, not {expected}")
        self._drop_what_changes(index)
        self._storage.write(where, rows=self._precision.encode(estimate))
        self._written_n[where.row] = self._epoch

    def flush(self) -> None:
        self._storage.flush()

    def snapshot(self) -> Mapping[int, ShardState]:
        """What the place says of each shard's rows, and which of them are real.

        `written`: (n,), int32, the epoch in which each was last written; -1 for noise.
        `epoch`: (1,), int64, the present one, from 0; -1 before the first.
        """
        return {
            shard: {
                **self._storage.snapshot(shard),
                "written": self._written_n[self._span(shard)],
                "epoch": torch.tensor([self._epoch]),
            }
            for shard in self._shards.owned
        }

    def restore(self, state: Mapping[int, ShardState]) -> None:
        self._ahead = None
        for shard in self._shards.owned:
            if shard not in state:
                raise ValueError(f"the store's state lacks shard {shard}")
            own, mine_n = state[shard], self._written_n[self._span(shard)]
            written_n = checked_tensor(own, "written", like=mine_n, shard=shard)
            epoch = checked_tensor(own, "epoch", like=torch.tensor([self._epoch]), shard=shard)
            self._storage.restore(shard, own)
            mine_n.copy_(written_n)
            self._epoch = int(epoch)

    def verify(self, *, progress: ProgressCallback = no_progress) -> None:
        total = int((self._written_n != _NEVER).sum())
        done = 0
        for rows in self._storage.verify():
            done += rows
            progress(_VERIFYING, done, total)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        self._storage.close()

    def _span(self, shard: int) -> slice:
        first = int(self._first_row_S[shard])
        return slice(first, first + self._shards.size(shard))

    def _find(self, index: Tensor) -> RowLocation:
        """Where images are.

        Raises:
            ValueError: if one is not this process's own.
        """
        shard_B = index % self._shards.count
        place_B = index // self._shards.count
        first_B = self._first_row_S[shard_B]
        foreign_B = (first_B < 0) | (index < 0) | (index >= self._shards.images)
        if foreign_B.any():
            raise ValueError(
                f"the store of this process does not hold images {_named(index[foreign_B])}"
            )
        return RowLocation(shard=shard_B, place=place_B, row=first_B + place_B)

    @property
    def _travels(self) -> bool:
        """Whether rows go from main memory to a GPU."""
        return self._device.type == "cuda" and self._storage.device.type == "cpu"

    def _gather(self, index: Tensor, where: RowLocation) -> Tensor:
        """Rows as they are kept, (B, R), uint8; with noise among them (B, C, H, W), float32."""
        found = self._rows_or_images(index, where)
        return found.pin_memory() if self._travels else found

    def _arrived(self, found: Tensor) -> Tensor:
        """(B, C, H, W), float32, on the device, where rows are decoded."""
        found = found.to(self._device, non_blocking=True)
        if found.dtype != torch.uint8:
            return found
        return self._precision.decode(found, shape=self._shape)

    def _rows_or_images(self, index: Tensor, where: RowLocation) -> Tensor:
        noise_B = self._written_n[where.row] == _NEVER
        if not noise_B.any():
            return self._known(where)
        noise = self._unwritten(index[noise_B])
        if noise_B.all():
            return noise
        images_BCHW = torch.empty(len(index), *self._shape, device=self._storage.device)
        images_BCHW[noise_B] = noise.to(images_BCHW.device)
        known_BR = self._known(where[~noise_B])
        images_BCHW[~noise_B] = self._precision.decode(known_BR, shape=self._shape)
        return images_BCHW

    def _unwritten(self, index: Tensor) -> Tensor:
        """What rows are before they are written, (B, C, H, W)."""
        if self._initial == "zeros":
            return torch.zeros(len(index), *self._shape)
        return noise_by_index(seed=self._seed, purpose="store", index=index, shape=self._shape)

    def _known(self, where: RowLocation) -> Tensor:
        """Rows (B, R), uint8, that were written."""
        parts = self._storage.parts(where)
        if len(parts) == 1:
            return self._storage.read(where)
        width = self._precision.row_bytes(math.prod(self._shape))
        rows_BR = torch.empty(len(where.row), width, dtype=torch.uint8, device=self._storage.device)
        for chosen, part in parts:
            rows_BR[chosen] = self._storage.read(part)
        return rows_BR

    def _drop_what_changes(self, index: Tensor) -> None:
        """Forget rows that were read ahead if one of them is about to change."""
        if self._ahead is not None and bool(torch.isin(index, self._ahead[0]).any()):
            wait([self._ahead[1]])
            self._ahead = None

    def _refuse_second_write(self, index: Tensor, where: RowLocation) -> None:
        again_B = self._written_n[where.row] == self._epoch
        if self._epoch != _NEVER and again_B.any():
            raise ValueError(
                f"images {_named(index[again_B])} were written in epoch {self._epoch} already"
            )
        ascending_B = index.sort().values
        twice = ascending_B[1:][ascending_B[1:] == ascending_B[:-1]]
        if len(twice):
            raise ValueError(f"images {_named(twice)} stand twice in one write")


def _named(index: Tensor) -> str:
    """The first few of `index`, for a message."""
    named = ", ".join(str(k) for k in index[:_INDICES_NAMED].tolist())
    return f"{named}, …" if len(index) > _INDICES_NAMED else named


_PRECISIONS: Final[dict[str, Precision]] = {
    "float32": Floating(torch.float32),
    "float16": Floating(torch.float16),
    "bfloat16": Floating(torch.bfloat16),
    "int8": Int8(),
}


def _make(precision: str, place: str, *, elsewhere: str | None = None) -> TargetStore:
    places: dict[str, Storage] = {
        "ram": MemoryStorage(on_device=False),
        "mmap": DiskStorage(),
        "device": MemoryStorage(on_device=True),
    }
    return RowStore(precision=_PRECISIONS[precision], place=places[place], elsewhere=elsewhere)


def ram(options: PlaceOptions) -> TargetStore:
    """A store in main memory."""
    return _make(options.precision, "ram")


def mmap(options: MmapOptions) -> TargetStore:
    """A store in memory-mapped files."""
    return _make(options.precision, "mmap", elsewhere=options.folder)


def device(options: PlaceOptions) -> TargetStore:
    """A store in the device's memory."""
    return _make(options.precision, "device")


def fp16(options: PrecisionOptions) -> TargetStore:
    """A store of float16."""
    return _make("float16", options.place)


def bf16(options: PrecisionOptions) -> TargetStore:
    """A store of bfloat16."""
    return _make("bfloat16", options.place)


def int8(options: PrecisionOptions) -> TargetStore:
    """A store of 8-bit numbers."""
    return _make("int8", options.place)
