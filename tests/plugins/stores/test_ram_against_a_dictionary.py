"""The RAM store does what a dictionary of rows does, whatever is asked of it in whatever order."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from torch import Tensor

from dddm.interfaces.facts import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.noise import noise_by_index
from dddm_stores.ram import RamStore

IMAGES = 8
SHAPE = ImageShape(channels=1, height=1, width=2)
some_indices = st.lists(st.integers(0, IMAGES - 1), min_size=1, max_size=4)


@final
class StoreMachine(RuleBasedStateMachine):
    """Gives every order to the store and to the dictionary, and compares them after each."""

    def __init__(self) -> None:
        super().__init__()
        self.store = RamStore(NoOptions())
        self.rows: dict[int, list[float]] = {}
        self.written: set[int] = set()
        self.values = 0
        self.saved: list[tuple[Mapping[str, Tensor], dict[int, list[float]], set[int]]] = []

    @initialize(
        owned=st.sets(st.integers(0, IMAGES - 1), min_size=1).map(sorted), seed=st.integers(0, 99)
    )
    def open(self, owned: list[int], seed: int) -> None:
        """Both begin with the same noise."""
        index = torch.tensor(owned)
        self.store.open(
            images=IMAGES,
            shape=SHAPE,
            seed=seed,
            owned=index,
            folder=Path("unused"),
            device=torch.device("cpu"),
        )
        noise = noise_by_index(seed=seed, purpose="store", index=index, shape=SHAPE.as_tuple)
        self.rows = dict(zip(owned, noise.flatten(1).tolist(), strict=True))

    @rule(epoch=st.integers(0, 5))
    def begin_epoch(self, epoch: int) -> None:
        """Every row may be written again."""
        self.store.begin_epoch(epoch)
        self.written = set()

    @rule(index=some_indices)
    def write(self, index: list[int]) -> None:
        """A write is taken as a whole or refused as a whole."""
        self.values += 1
        estimate = torch.arange(2 * len(index)).reshape(-1, *SHAPE.as_tuple) + 100.0 * self.values
        distinct = set(index)
        if distinct <= self.rows.keys() - self.written and len(distinct) == len(index):
            self.store.write(torch.tensor(index), estimate=estimate)
            self.rows.update(zip(index, estimate.flatten(1).tolist(), strict=True))
            self.written |= distinct
        else:
            with pytest.raises(ValueError, match="image"):
                self.store.write(torch.tensor(index), estimate=estimate)
        estimate.zero_()

    @rule(index=some_indices)
    def read_and_peek(self, index: list[int]) -> None:
        """Both give the rows asked for, in order, or refuse."""
        for look in (self.store.read, self.store.peek):
            if set(index) <= self.rows.keys():
                expected = [self.rows[k] for k in index]
                assert look(torch.tensor(index)).flatten(1).tolist() == expected
            else:
                with pytest.raises(ValueError, match="does not hold"):
                    look(torch.tensor(index))

    @rule()
    def flush(self) -> None:
        """Nothing that can be seen happens."""
        self.store.flush()

    @rule()
    def snapshot(self) -> None:
        """Keep what both hold now."""
        self.saved.append((self.store.snapshot(), dict(self.rows), set(self.written)))

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Return both to any state that was kept."""
        if self.saved:
            state, rows, written = data.draw(st.sampled_from(self.saved))
            self.store.restore(state)
            self.rows, self.written = dict(rows), set(written)

    @invariant()
    def all_rows_agree(self) -> None:
        """No order changed a row that it was not about, nor a snapshot taken before."""
        held = list(self.rows)
        found = self.store.peek(torch.tensor(held, dtype=torch.int64)).flatten(1).tolist()
        assert found == list(self.rows.values())
        for state, rows, _ in self.saved:
            assert state["rows"].flatten(1).tolist() == list(rows.values())


TestRamAgainstADictionary = StoreMachine.TestCase
TestRamAgainstADictionary.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None
)
