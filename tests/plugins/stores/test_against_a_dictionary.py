"""A store does what a dictionary of rows does, whatever is asked of it in whatever order.

Also when it is reopened, crashes with writes that no snapshot knows, or is divided among another
number of processes.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest
import torch
from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from stores import StoreKind, as_saved

from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import ShardState, TargetStore
from dddm.support.noise import noise_by_index

IMAGES: Final = 11
SHARDS: Final = 4
KEPT: Final = 2
SHAPE: Final = ImageShape(channels=1, height=1, width=2)
some_images = st.lists(st.integers(0, IMAGES - 1), min_size=1, max_size=5)


@define
class Saved:
    """A snapshot of all processes, and what the dictionary held."""

    state: dict[int, ShardState]
    rows: dict[int, list[float]]
    written: set[int]
    epoch: int


class StoreMachine(RuleBasedStateMachine):
    """Gives every order to the stores and to the dictionary, and compares them after each."""

    kind: StoreKind

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.stores: list[TargetStore] = []
        self.rows: dict[int, list[float]] = {}
        self.written: set[int] = set()
        self.epoch = 0
        self.values = 0
        self.saved: list[Saved] = []

    def teardown(self) -> None:
        """Leave nothing behind."""
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def open_as(self, processes: int) -> None:
        """New stores, as in new processes."""
        self.stores = [
            self.kind.open(
                self.folder,
                shards=Shards.of_process(
                    images=IMAGES, count=SHARDS, rank=rank, processes=processes
                ),
                shape=SHAPE,
                kept_snapshots=KEPT,
            )
            for rank in range(processes)
        ]

    def owner(self, image: int) -> TargetStore:
        """The store that keeps an image."""
        return self.stores[image % SHARDS * len(self.stores) // SHARDS]

    @initialize(processes=st.sampled_from([1, 2, 4]))
    def begin(self, processes: int) -> None:
        """All rows are noise."""
        self.open_as(processes)
        every = torch.arange(IMAGES)
        noise = noise_by_index(seed=3, purpose="store", index=every, shape=SHAPE.as_tuple)
        self.rows = dict(enumerate(noise.flatten(1).tolist()))
        for store in self.stores:
            store.begin_epoch(0)

    @rule(more=st.integers(0, 2))
    def begin_epoch(self, more: int) -> None:
        """Every row may be written again; to begin the present epoch changes nothing."""
        self.epoch += more
        if more:
            self.written = set()
        for store in self.stores:
            store.begin_epoch(self.epoch)
            with pytest.raises(ValueError, match="after epoch"):
                store.begin_epoch(self.epoch - 1)

    @rule(images=some_images, ahead=st.booleans())
    def write(self, images: list[int], ahead: bool) -> None:  # noqa: FBT001 - hypothesis names it
        """A write is taken as a whole or refused as a whole, by each owner."""
        for store in self.stores:
            index = [k for k in images if self.owner(k) is store]
            if not index:
                continue
            if ahead:
                store.prefetch(torch.tensor(sorted(set(index))))
            self.values += 1
            estimate = torch.arange(2 * len(index)).reshape(-1, *SHAPE.as_tuple) + self.values
            estimate = estimate.float()
            if len(set(index)) == len(index) and not set(index) & self.written:
                store.write(torch.tensor(index), estimate=estimate)
                kept = self.kind.kept(estimate).flatten(1).tolist()
                self.rows.update(zip(index, kept, strict=True))
                self.written |= set(index)
            else:
                with pytest.raises(ValueError, match="image"):
                    store.write(torch.tensor(index), estimate=estimate)
            estimate.zero_()

    @rule(images=some_images, ahead=st.booleans())
    def read(self, images: list[int], ahead: bool) -> None:  # noqa: FBT001 - as above
        """The rows asked for, in order; an image of another process is refused."""
        for store in self.stores:
            index = torch.tensor([k for k in dict.fromkeys(images) if self.owner(k) is store])
            if not len(index):
                continue
            if ahead:
                store.prefetch(index)
            expected = torch.tensor([self.rows[int(k)] for k in index])
            torch.testing.assert_close(store.read(index).flatten(1), expected, rtol=1e-6, atol=0)
        for foreign in [k for k in images if self.owner(k) is not self.stores[0]]:
            with pytest.raises(ValueError, match="does not hold"):
                self.stores[0].read(torch.tensor([foreign]))

    @rule()
    def flush(self) -> None:
        """Nothing that can be seen happens."""
        for store in self.stores:
            store.flush()

    @rule()
    def snapshot(self) -> None:
        """Keep what both hold now; only the newest snapshots are promised."""
        state: dict[int, ShardState] = {}
        for store in self.stores:
            state |= as_saved(store.snapshot())
        now = Saved(state, dict(self.rows), set(self.written), self.epoch)
        self.saved = [*self.saved, now][-KEPT:]

    def return_to(self, number: int) -> None:
        """Both go back; on the disk, what came later is gone."""
        saved = self.saved[number]
        for store in self.stores:
            store.restore(saved.state)
        self.rows, self.written = dict(saved.rows), set(saved.written)
        self.epoch = saved.epoch
        self.saved = self.saved[: number + 1]

    @precondition(lambda self: self.saved)
    @rule(newest=st.booleans())
    def restore(self, newest: bool) -> None:  # noqa: FBT001 - as above
        """In the same process."""
        self.return_to(len(self.saved) - 1 if newest else 0)

    @precondition(lambda self: self.saved)
    @rule(newest=st.booleans(), processes=st.sampled_from([1, 2, 4]), ends=st.booleans())
    def crash(self, newest: bool, processes: int, ends: bool) -> None:  # noqa: FBT001 - as above
        """New processes, perhaps another number of them; the old ones ended, or were killed."""
        for store in self.stores:
            if ends:
                store.flush()
            store.close()
        self.open_as(processes)
        self.return_to(len(self.saved) - 1 if newest else 0)

    @invariant()
    def all_rows_agree(self) -> None:
        """No order changed a row that it was not about."""
        for store in self.stores:
            held = [k for k in self.rows if self.owner(k) is store]
            found = store.peek(torch.tensor(held, dtype=torch.int64)).flatten(1)
            expected = torch.tensor([self.rows[k] for k in held])
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def machine_of(of_kind: StoreKind) -> type:
    """The machine's test case for one kind of store."""

    class Machine(StoreMachine):
        """Its orders are given to stores of this kind."""

        kind = of_kind

    case: type = Machine.TestCase
    case.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)  # type: ignore[attr-defined]
    return case


TestRamFloat32: Final = machine_of(StoreKind("ram", "float32"))
TestMmapFloat32: Final = machine_of(StoreKind("mmap", "float32"))
TestMmapFloat16: Final = machine_of(StoreKind("mmap", "float16"))
TestMmapInt8: Final = machine_of(StoreKind("mmap", "int8"))
TestDeviceBfloat16: Final = machine_of(StoreKind("device", "bfloat16"))
