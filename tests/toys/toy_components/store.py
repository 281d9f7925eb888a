"""Each shard's rows in a tensor of its own, with the epoch in which each was written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.support.noise import noise_by_index


@final
class Tensors(TargetStore):
    def __init__(self, options: object) -> None:
        self._rows: dict[int, Tensor] = {}
        self._written: dict[int, Tensor] = {}
        self._epoch = -1
        self._count = 1

    def memory_usage(self, *, rows: int, shape: ImageShape, kept_snapshots: int) -> MemoryUsage:
        return MemoryUsage(memory=rows * shape.values * 4)

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
        self._count = shards.count
        for shard in shards.owned:
            index = shards.images_of(shard)
            noise = noise_by_index(seed=seed, purpose="store", index=index, shape=shape.as_tuple)
            self._rows[shard] = noise if initial == "noise" else torch.zeros_like(noise)
            self._written[shard] = torch.full((len(index),), -1)

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def read(self, index: Tensor) -> Tensor:
        return self.peek(index)

    def peek(self, index: Tensor) -> Tensor:
        try:
            places = [divmod(k, self._count) for k in index.tolist()]
            return torch.stack([self._rows[shard][place] for place, shard in places])
        except (KeyError, IndexError) as error:
            raise ValueError(f"an image is not held here: {error}") from error

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        self.peek(index)
        places = [divmod(k, self._count) for k in index.tolist()]
        if len(set(places)) < len(places) or any(
            self._written[shard][place] == self._epoch for place, shard in places
        ):
            raise ValueError("an image was written in this epoch already")
        for (place, shard), row in zip(places, estimate, strict=True):
            self._rows[shard][place] = row
            self._written[shard][place] = self._epoch

    def flush(self) -> None:
        pass

    def snapshot(self) -> Mapping[int, ShardState]:
        epoch = torch.tensor([self._epoch])
        return {
            shard: {"rows": rows, "written": self._written[shard], "epoch": epoch}
            for shard, rows in self._rows.items()
        }

    def restore(self, state: Mapping[int, ShardState]) -> None:
        for shard, rows in self._rows.items():
            rows.copy_(state[shard]["rows"])
            self._written[shard].copy_(state[shard]["written"])
            self._epoch = int(state[shard]["epoch"])
