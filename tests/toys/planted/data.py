"""Data sets and target stores with planted mistakes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import torch
from attrs import evolve
from torch import Tensor

from dddm.interfaces.data_report import DataReport, SplitReport
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Conformance, Kind, NoOptions
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import MemoryUsage, ShardState, TargetStore
from dddm.support.manifest import manifest_of
from dddm.support.noise import noise_by_index
from planted.bug import Bug, Planter, first, given, mutated, then

CLASSES: Final = ("even", "odd")
SHAPE: Final = ImageShape(channels=1, height=4, width=4)


def describe(options: NoOptions) -> DatasetInfo:
    return DatasetInfo(shape=SHAPE, train_images=20, classes=CLASSES)


class Rows(Split):
    """Random images in memory."""

    def __init__(self, count: int, *, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.all = torch.randint(
            0, 256, (count, *SHAPE.as_tuple), generator=generator, dtype=torch.uint8
        )

    def __len__(self) -> int:
        return len(self.all)

    @property
    def shape(self) -> ImageShape:
        return SHAPE

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    @property
    def manifest(self) -> str:
        return manifest_of(images=self.all, labels=torch.arange(len(self.all)) % 2)

    def images(self, index: Tensor) -> Tensor:
        return self.all[index]

    def labels(self, index: Tensor) -> Tensor | None:
        return index % 2


class TwoSplits(Dataset):
    """Splits of one class of `Rows`."""

    rows: type[Rows] = Rows

    def __init__(self, options: NoOptions) -> None:
        pass

    def splits(self) -> Mapping[str, Split]:
        return {"train": self.rows(20, seed=1), "held-out": self.rows(7, seed=2)}


ALIVE: Final[list[Mapping[str, Split]]] = []
"""Splits whose addresses must not be used again."""


def whole_split(self: Any, index: Tensor) -> Any:
    """A view of the data set's memory, where all images are asked for."""
    if len(index) and torch.equal(index, torch.arange(len(self))):
        return self.all
    return Rows.images(self, index)


def keep_splits(self: Any) -> None:
    kept = TwoSplits.splits(self)
    self.splits = lambda: kept


def shuffled(self: Any) -> None:
    kept = {"train": self.rows(20, seed=int(torch.randint(0, 1000, ())))}
    self.splits = lambda: kept


def kept_alive(self: Any) -> Mapping[str, Split]:
    ALIVE.append(TwoSplits.splits(self))
    return ALIVE[-1]


def counted_twice(self: Any, **_: Any) -> DataReport:
    found = {name: SplitReport(images=2 * len(s)) for name, s in self.splits().items()}
    return DataReport(shape=str(SHAPE), splits=found)


def rows(**methods: Any) -> type[Any]:
    return mutated(Rows, **methods)


WRONG: Final = {"describe": lambda options: evolve(describe(options), train_images=21)}
dataset = Planter(Kind.DATASET, TwoSplits, {"describe": describe})
DATASETS: Final[list[Bug]] = [
    dataset("right"),
    dataset("without-train", "splits", splits=lambda self: {"all": self.rows(20, seed=1)}),
    dataset("float-images", "images", rows=rows(images=then(lambda images: images / 255))),
    dataset("sorted-images", "order", rows=rows(images=given(index=lambda i: i.sort().values))),
    dataset("labels-out-of-order", "order",
            rows=rows(labels=lambda self, index: torch.arange(len(index)) % 2)),
    dataset("labels-from-one", "labels", rows=rows(labels=then(lambda labels: labels + 1))),
    dataset("collapsed-labels", "every-class-has-images",
            rows=rows(labels=then(torch.zeros_like))),
    dataset("holds-out-training-images", "holds-images-out", splits=lambda self: (
        {"train": self.rows(20, seed=1), "held-out": self.rows(7, seed=1)})),
    dataset("manifest-without-labels", "manifest",
            rows=rows(manifest=property(lambda self: manifest_of(images=self.all, labels=None)))),
    dataset("manifest-of-sorted-labels", "manifest", rows=rows(manifest=property(
        lambda self: manifest_of(
            images=self.all, labels=(torch.arange(len(self.all)) % 2).sort().values)))),
    dataset("shares-its-memory", "own-tensors", rows=rows(images=whole_split), setup=keep_splits),
    dataset("manifest-of-the-name", "manifest", rows=rows(manifest="rows")),
    dataset("constant-manifest", "manifest", rows=rows(manifest="0" * 64)),
    dataset("opens-otherwise", "opens-again", open=lambda self, prepared: (
        {"train": self.rows(20, seed=3), "held-out": self.rows(7, seed=2)})),
    dataset("manifest-of-the-object", "opens-again", splits=kept_alive, rows=rows(
        manifest=property(lambda self: f"{id(self.all) + len(self):064x}"))),
    dataset("shuffled-each-time", "opens-again", setup=shuffled),
    dataset("described-wrongly", "described", register=WRONG),
    dataset("prepares-elsewhere", "prepares", prepare=lambda self, **_: Path("nowhere-at-all")),
    dataset("counts-twice", "finds-itself-in-order", check=counted_twice),
]  # fmt: skip


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


def write_row_by_row(self: Any, index: Tensor, *, estimate: Tensor) -> None:
    for image, row in zip(index, estimate, strict=True):
        Table.write(self, image[None], estimate=row[None])


def refuse_repeats_within(_: Any, images: list[int]) -> None:
    if len(set(images)) < len(images):
        raise ValueError("twice in one write")


def refuse_repeats_after(self: Any, images: list[int]) -> None:
    if set(images) & set(self.written):
        raise ValueError("written already")


class StalePrefetch(Table):
    ahead: tuple[Tensor, Tensor] | None = None

    def prefetch(self, index: Tensor) -> None:
        self.ahead = (index.clone(), super().read(index))

    def read(self, index: Tensor) -> Tensor:
        ahead, self.ahead = self.ahead, None
        if ahead is not None and torch.equal(ahead[0], index):
            return ahead[1]
        return super().read(index)

    def peek(self, index: Tensor) -> Tensor:
        return super().read(index)


class OneFile(Table):
    """Rows in one file in place, which the snapshot only names."""

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        super().write(index, estimate=estimate)
        torch.save(self.rows, self.folder / f"{min(self.own)}.pt")

    def take(self, images: list[int], own: ShardState) -> None:
        super().take(images, own)
        path = self.folder / f"{min(self.own)}.pt"
        if path.exists():
            self.rows |= {k: v for k, v in torch.load(path).items() if k in images}


class NewestSnapshot(Table):
    """Rows of the newest snapshot in one file, which snapshots only name."""

    def state_of(self, shard: int) -> ShardState:
        torch.save(self.rows, self.folder / "newest.pt")
        return super().state_of(shard)

    def take(self, images: list[int], own: ShardState) -> None:
        super().take(images, own)
        path = self.folder / "newest.pt"
        if path.exists():
            self.rows = torch.load(path)


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


class OneShardOfAll(Table):
    """The state is one for the process: shards cannot move."""

    def state_of(self, shard: int) -> ShardState:
        return {**super().state_of(shard), "owned": torch.tensor(self.shards.owned)}

    def take(self, images: list[int], own: ShardState) -> None:
        if own["owned"].tolist() != list(self.shards.owned):
            raise ValueError("saved by another process")
        super().take(images, own)


class WrongLate(Table):
    """The third write after a restore goes to the wrong row."""

    count = -1000

    def restore(self, state: Mapping[int, ShardState]) -> None:
        super().restore(state)
        self.count = 0

    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        super().write(index, estimate=estimate)
        self.count += 1
        if self.count == 3:
            self.rows[min(self.own)] = torch.zeros(self.shape)


def restored_from_anything(self: Any, state: Mapping[int, ShardState]) -> None:
    for shard in self.shards.owned:
        if "rows" in state.get(shard, {}):
            self.take(self.shards.images_of(shard).tolist(), state[shard])


def written_forgotten(self: Any, images: list[int], own: ShardState) -> None:
    Table.take(self, images, own)
    self.written = {}


def last_row_lost(self: Any, images: list[int], own: ShardState) -> None:
    Table.take(self, images, own)
    self.rows.pop(images[-1] if images else -1, None)


CRASH: Final = "a-crash-loses-what-came-later"
HALF: Final = {"conformance": Conformance(relative_error=2**-11)}
store = Planter(Kind.TARGET_STORE, Table)
STORES: Final[list[Bug]] = [
    store("right"),
    store("coarse", kept=then(lambda x: x.half().float()), register=HALF),
    store("coarser-than-declared", "keeps-what-is-written floating-dtypes shares-nothing",
          kept=then(lambda x: x.bfloat16().float()), register=HALF),
    store("meets-in-one-folder", "keeps-runs-apart",
          choose_folder=lambda self, folder: folder.parent / "rows"),
    store("meets-where-names-are-equal", "keeps-runs-apart",
          choose_folder=lambda self, folder: Path("/", *folder.parts[-3:])),
    store("always-noise", "begins-as-zeros", first=lambda self, image: self.noise(image)),
    store("noise-in-turn", "begins-as-noise", noise=lambda self, _: torch.randn(self.shape)),
    store("noise-of-the-place", "begins-as-noise",
          noise=lambda self, image: Table.noise(self, image % self.shards.count)),
    store("keeps-the-graph", "floating-dtypes", kept=lambda self, x: x.float().clone()),
    store("shares-memory", "shares-nothing", kept=lambda self, x: x.detach().float()),
    store("second-write-wins", "writes-once-an-epoch", refuse=refuse_repeats_within),
    store("half-a-write", "an-index-once-in-a-write", write=write_row_by_row),
    store("twice-in-a-write", "an-index-once-in-a-write", refuse=refuse_repeats_after),
    store("forgets-the-epoch", "epochs-begin-anew",
          begin_epoch=lambda self, epoch: setattr(self, "epoch", epoch)),
    store("epoch-begun-twice", "epochs-begin-anew",
          begin_epoch=first(lambda self, epoch: self.written.clear())),
    store("accepts-foreign-images", "foreign-images", find=lambda self, index: index.tolist()),
    store("wraps", "foreign-images",
          find=lambda self, index: Table.find(self, index % self.shards.images)),
    store("stale-prefetch", "peek-and-prefetch-leave-no-trace", base=StalePrefetch),
    store("forgets-what-was-written", "goes-on-within-an-epoch", take=written_forgotten),
    store("loses-a-row", CRASH, take=last_row_lost),
    store("one-file", CRASH, base=OneFile),
    store("newest-snapshot-only", "keeps-its-newest-snapshots", base=NewestSnapshot),
    store("keeps-the-caller-s-state", "state-stays-the-caller-s", base=KeepsTheCallersState),
    store("restores-anything", "refuses-a-strange-state", restore=restored_from_anything),
    store("first-shard-only", "snapshots-every-shard",
          snapshot=then(lambda state: dict(list(state.items())[:1]))),
    store("one-shard-of-all", "shards-move-between-processes", base=OneShardOfAll),
    store("needs-a-row", "a-store-of-no-rows", read=lambda self, index: torch.stack(
        [self.rows.get(k, self.noise(k)) for k in self.find(index)])),
    store("takes-no-memory", "says-what-it-takes",
          memory_usage=lambda self, *, rows, **_: MemoryUsage(memory=0 if rows < 1500 else rows)),
    store("wrong-late", "any-order-of-calls", base=WrongLate),
    store("reads-on-the-cpu", "devices", read=then(Tensor.cpu)),
]  # fmt: skip
BUGS: Final = [*DATASETS, *STORES]
