"""A right target store, and wrong ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Conformance, Kind, NoOptions
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.support.noise import noise_by_index
from planted.bug import Bug, bug


class Table(TargetStore):
    """A dictionary of rows in memory."""

    seed = 0
    epoch = -1

    def __init__(self, options: NoOptions) -> None:
        self.rows: dict[int, Tensor] = {}
        self.written: dict[int, int] = {}

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
        self.initial = initial
        self.shards, self.shape, self.seed, self.device = shards, shape.as_tuple, seed, device
        self.folder = folder
        self.own = {int(k) for shard in shards.owned for k in shards.images_of(shard)}

    def begin_epoch(self, epoch: int) -> None:
        if epoch > self.epoch:
            self.written = {}
        self.epoch = epoch

    def find(self, index: Tensor) -> list[int]:
        images: list[int] = index.tolist()
        if not set(images) <= self.own:
            raise ValueError("foreign images")
        return images

    def first(self, image: int) -> Tensor:
        return self.noise(image) if self.initial == "noise" else torch.zeros(self.shape)

    def noise(self, image: int) -> Tensor:
        index = torch.tensor([image])
        return noise_by_index(seed=self.seed, purpose="store", index=index, shape=self.shape)[0]

    def read(self, index: Tensor) -> Tensor:
        rows = [self.rows[k] if k in self.rows else self.first(k) for k in self.find(index)]
        return torch.stack(rows).to(self.device) if rows else torch.empty(0, *self.shape)

    def peek(self, index: Tensor) -> Tensor:
        return self.read(index)

    def refuse(self, images: list[int]) -> None:
        if len(set(images)) < len(images) or set(images) & set(self.written):
            raise ValueError("written already")

    def kept(self, estimate: Tensor) -> Tensor:
        return estimate.detach().float().cpu().clone()

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        images = self.find(index)
        self.refuse(images)
        self.rows |= dict(zip(images, self.kept(estimate), strict=True))
        self.written |= dict.fromkeys(images, self.epoch)

    def flush(self) -> None:
        pass

    def snapshot(self) -> Mapping[int, ShardState]:
        return {shard: self.state_of(shard) for shard in self.shards.owned}

    def state_of(self, shard: int) -> ShardState:
        images = self.shards.images_of(shard)
        return {
            "rows": self.read(images).cpu(),
            "real": torch.tensor([int(k) in self.rows for k in images], dtype=torch.bool),
            "written": torch.tensor([int(k) in self.written for k in images], dtype=torch.bool),
            "epoch": torch.tensor([self.epoch]),
        }

    def restore(self, state: Mapping[int, ShardState]) -> None:
        for shard in self.shards.owned:
            if shard not in state or "rows" not in state[shard]:
                raise ValueError("it does not fit")
            images = self.shards.images_of(shard).tolist()
            if state[shard]["rows"].shape != (len(images), *self.shape):
                raise ValueError("it does not fit")
            self.take(images, state[shard])

    def take(self, images: list[int], own: ShardState) -> None:
        self.epoch = int(own["epoch"])
        for place, image in enumerate(images):
            self.rows.pop(image, None)
            self.written.pop(image, None)
            if own["real"][place]:
                self.rows[image] = own["rows"][place].clone()
            if own["written"][place]:
                self.written[image] = self.epoch


@final
class RightStore(Table):
    pass


@final
class NoiseInTurn(Table):
    def noise(self, image: int) -> Tensor:
        return torch.randn(self.shape)


@final
class AlwaysNoise(Table):
    def first(self, image: int) -> Tensor:
        return self.noise(image)


@final
class NoiseOfPlace(Table):
    def noise(self, image: int) -> Tensor:
        return super().noise(image % self.shards.count)


@final
class Coarse(Table):
    def kept(self, estimate: Tensor) -> Tensor:
        return super().kept(estimate).half().float()


@final
class CoarserThanSaid(Table):
    def kept(self, estimate: Tensor) -> Tensor:
        return super().kept(estimate).bfloat16().float()


@final
class KeepsTheGraph(Table):
    def kept(self, estimate: Tensor) -> Tensor:
        return estimate.float().clone()


@final
class SharesMemory(Table):
    def kept(self, estimate: Tensor) -> Tensor:
        return estimate.detach().float()


@final
class SecondWriteWins(Table):
    def refuse(self, images: list[int]) -> None:
        if len(set(images)) < len(images):
            raise ValueError("twice in one write")


@final
class HalfAWrite(Table):
    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        for image, row in zip(index, estimate, strict=True):
            super().write(image[None], estimate=row[None])


@final
class TwiceInAWrite(Table):
    def refuse(self, images: list[int]) -> None:
        if set(images) & set(self.written):
            raise ValueError("written already")


@final
class ForgetsTheEpoch(Table):
    def begin_epoch(self, epoch: int) -> None:
        self.epoch = epoch


@final
class AgainIsAnew(Table):
    def begin_epoch(self, epoch: int) -> None:
        self.written, self.epoch = {}, epoch


@final
class TakesForeignImages(Table):
    def find(self, index: Tensor) -> list[int]:
        images: list[int] = index.tolist()
        return images


@final
class Wraps(Table):
    def find(self, index: Tensor) -> list[int]:
        return super().find(index % self.shards.images)


@final
class StalePrefetch(Table):
    def prefetch(self, index: Tensor) -> None:
        self.ahead: tuple[Tensor, Tensor] | None = (index.clone(), super().read(index))

    def read(self, index: Tensor) -> Tensor:
        ahead: tuple[Tensor, Tensor] | None = getattr(self, "ahead", None)
        self.ahead = None
        if ahead is not None and torch.equal(ahead[0], index):
            return ahead[1]
        return super().read(index)

    def peek(self, index: Tensor) -> Tensor:
        return super().read(index)


@final
class ForgetsWhatWasWritten(Table):
    def take(self, images: list[int], own: ShardState) -> None:
        super().take(images, own)
        self.written = {}


@final
class LosesALine(Table):
    def take(self, images: list[int], own: ShardState) -> None:
        super().take(images, own)
        self.rows.pop(images[-1] if images else -1, None)


@final
class OneFileForEver(Table):
    """Rows in one file in place, which the snapshot only names."""

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        super().write(index, estimate=estimate)
        torch.save(self.rows, self.folder / f"{min(self.own)}.pt")

    def take(self, images: list[int], own: ShardState) -> None:
        super().take(images, own)
        path = self.folder / f"{min(self.own)}.pt"
        if path.exists():
            self.rows |= {k: v for k, v in torch.load(path).items() if k in images}


@final
class OneSnapshotAlone(Table):
    """Rows of the newest snapshot in one file, which snapshots only name."""

    def state_of(self, shard: int) -> ShardState:
        torch.save(self.rows, self.folder / "newest.pt")
        return super().state_of(shard)

    def take(self, images: list[int], own: ShardState) -> None:
        super().take(images, own)
        path = self.folder / "newest.pt"
        if path.exists():
            self.rows = torch.load(path)


@final
class KeepsTheCallersState(Table):
    def take(self, images: list[int], own: ShardState) -> None:
        super().take(images, own)
        self.buffer = dict(zip(images, own["rows"], strict=True))
        self.rows |= {k: row for k, row in self.buffer.items() if k in self.rows}

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        super().write(index, estimate=estimate)
        for image in index.tolist():
            if image in getattr(self, "buffer", {}):
                self.buffer[image].copy_(self.rows[image])


@final
class TakesAnyState(Table):
    def restore(self, state: Mapping[int, ShardState]) -> None:
        for shard in self.shards.owned:
            if "rows" in state.get(shard, {}):
                self.take(self.shards.images_of(shard).tolist(), state[shard])


@final
class FirstShardAlone(Table):
    def snapshot(self) -> Mapping[int, ShardState]:
        return dict(list(super().snapshot().items())[:1])


@final
class OneShardOfAll(Table):
    """The state is one for the process: shards cannot move."""

    def state_of(self, shard: int) -> ShardState:
        return {**super().state_of(shard), "owned": torch.tensor(self.shards.owned)}

    def take(self, images: list[int], own: ShardState) -> None:
        if own["owned"].tolist() != list(self.shards.owned):
            raise ValueError("saved by another process")
        super().take(images, own)


@final
class NeedsARow(Table):
    def read(self, index: Tensor) -> Tensor:
        return torch.stack([self.rows.get(k, self.noise(k)) for k in self.find(index)])


@final
class TakesNothing(Table):
    def memory_usage(self, *, rows: int, shape: ImageShape, kept_snapshots: int) -> MemoryUsage:
        return MemoryUsage(memory=0 if rows < 1500 else rows)


@final
class StumblesLate(Table):
    """The fifth write after a restore goes to the wrong row."""

    count = -1000

    def restore(self, state: Mapping[int, ShardState]) -> None:
        super().restore(state)
        self.count = 0

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        super().write(index, estimate=estimate)
        self.count += 1
        if self.count == 3:
            self.rows[min(self.own)] = torch.zeros(self.shape)


@final
class ReadsOnTheCpu(Table):
    def read(self, index: Tensor) -> Tensor:
        return super().read(index).cpu()


WALK: Final = "target-store.any-order-of-calls"
MOVES: Final = "target-store.shards-move-between-processes"
BUGS: Final[list[Bug]] = [
    bug(Kind.TARGET_STORE, RightStore),
    bug(
        Kind.TARGET_STORE,
        Coarse,
        conformance=Conformance(relative_error=2**-11),
    ),
    bug(
        Kind.TARGET_STORE,
        CoarserThanSaid,
        "target-store.keeps-what-is-written",
        "target-store.floating-dtypes",
        "target-store.shares-nothing",
        conformance=Conformance(relative_error=2**-11),
    ),
    bug(Kind.TARGET_STORE, AlwaysNoise, "target-store.begins-as-zeros"),
    bug(Kind.TARGET_STORE, NoiseInTurn, "target-store.begins-as-noise"),
    bug(Kind.TARGET_STORE, NoiseOfPlace, "target-store.begins-as-noise"),
    bug(Kind.TARGET_STORE, KeepsTheGraph, "target-store.floating-dtypes"),
    bug(Kind.TARGET_STORE, SharesMemory, "target-store.shares-nothing"),
    bug(
        Kind.TARGET_STORE,
        SecondWriteWins,
        "target-store.writes-once-an-epoch",
    ),
    bug(Kind.TARGET_STORE, HalfAWrite, "target-store.an-index-once-in-a-write"),
    bug(Kind.TARGET_STORE, TwiceInAWrite, "target-store.an-index-once-in-a-write"),
    bug(Kind.TARGET_STORE, ForgetsTheEpoch, "target-store.epochs-begin-anew"),
    bug(Kind.TARGET_STORE, AgainIsAnew, "target-store.epochs-begin-anew"),
    bug(Kind.TARGET_STORE, TakesForeignImages, "target-store.foreign-images"),
    bug(Kind.TARGET_STORE, Wraps, "target-store.foreign-images"),
    bug(Kind.TARGET_STORE, StalePrefetch, "target-store.peek-and-prefetch-leave-no-trace"),
    bug(Kind.TARGET_STORE, ForgetsWhatWasWritten, "target-store.goes-on-within-an-epoch"),
    bug(Kind.TARGET_STORE, LosesALine, "target-store.a-crash-loses-what-came-later"),
    bug(Kind.TARGET_STORE, OneFileForEver, "target-store.a-crash-loses-what-came-later"),
    bug(Kind.TARGET_STORE, OneSnapshotAlone, "target-store.keeps-its-newest-snapshots"),
    bug(Kind.TARGET_STORE, KeepsTheCallersState, "target-store.state-stays-the-caller-s"),
    bug(Kind.TARGET_STORE, TakesAnyState, "target-store.refuses-a-strange-state"),
    bug(Kind.TARGET_STORE, FirstShardAlone, "target-store.snapshots-every-shard"),
    bug(Kind.TARGET_STORE, OneShardOfAll, MOVES),
    bug(Kind.TARGET_STORE, NeedsARow, "target-store.a-store-of-no-rows"),
    bug(Kind.TARGET_STORE, TakesNothing, "target-store.says-what-it-takes"),
    bug(Kind.TARGET_STORE, StumblesLate, WALK),
]
ON_A_DEVICE: Final = bug(Kind.TARGET_STORE, ReadsOnTheCpu, "target-store.devices")
