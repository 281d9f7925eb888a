"""A target store beside a dictionary that does what it should do, in any order of calls.

Imported only where Hypothesis is installed.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import torch
from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from torch import Tensor

from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import ShardState
from dddm.testing.check import raises
from dddm.testing.stores import KEPT_SNAPSHOTS, SHAPE, Stores, as_saved
from dddm.testing.subject import Subject
from dddm.testing.tensors import noise

_SHARDS: Final = Shards(images=11, count=4, owned=(0, 2))
_HELD: Final[list[int]] = torch.cat([_SHARDS.images_of(k) for k in _SHARDS.owned]).tolist()
_SOME: Final = st.lists(st.sampled_from(_HELD), min_size=1, max_size=4)


@final
@frozen
class _Snapshot:
    """A snapshot, and what the dictionary held."""

    state: dict[int, ShardState]
    rows: dict[int, Tensor]
    written: set[int]
    epoch: int


def machine_of(subject: Subject) -> Any:
    """A state machine of Hypothesis that opens stores of this subject."""
    return lambda: _StoreMachine(subject)


@final
class _StoreMachine(RuleBasedStateMachine):
    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        folder, device = Path(self._folder.name), torch.device("cpu")
        self._stores = Stores(subject, folder=folder, device=device)
        self._store = self._stores.open(_SHARDS)
        initial = self._store.peek(torch.tensor(_HELD)).clone()
        self._rows = dict(zip(_HELD, initial, strict=True))
        self._written: set[int] = set()
        self._epoch = 0
        self._writes = 0
        self._snapshots: list[_Snapshot] = []

    def _assert_rows(self, found: Tensor, images: Sequence[int]) -> None:
        expected = torch.stack([self._rows[image] for image in images])
        self._stores.assert_rows(found, expected, "rows")

    @invariant()
    def peek(self) -> None:
        self._assert_rows(self._store.peek(torch.tensor(_HELD)), _HELD)

    @rule(images=_SOME)
    def read(self, images: list[int]) -> None:
        self._assert_rows(self._store.read(torch.tensor(images)), images)

    @rule(images=_SOME)
    def prefetch(self, images: list[int]) -> None:
        self._store.prefetch(torch.tensor(images))

    @precondition(lambda self: len(self._written) < len(_HELD))
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        fresh = [image for image in _HELD if image not in self._written]
        images = data.draw(st.lists(st.sampled_from(fresh), min_size=1, max_size=3, unique=True))
        given = self._estimates(images)
        self._store.write(torch.tensor(images), estimate=given)
        self._rows.update(zip(images, given.clone(), strict=True))
        self._written |= set(images)
        given.zero_()

    @rule(images=_SOME, again=st.sampled_from(_HELD))
    def write_a_second_time(self, images: list[int], again: int) -> None:
        if again not in self._written:
            images = [again, *images]
        images = [*images, again]
        with raises(ValueError, f"a second write of image {again}"):
            self._store.write(torch.tensor(images), estimate=self._estimates(images))

    def _estimates(self, images: Sequence[int]) -> Tensor:
        self._writes += 1
        return noise(len(images), *SHAPE.as_tuple, seed=self._writes)

    @rule(epochs=st.integers(0, 2))
    def begin_epoch(self, epochs: int) -> None:
        self._epoch += epochs
        if epochs:
            self._written = set()
        self._store.begin_epoch(self._epoch)

    @rule()
    def snapshot(self) -> None:
        state = as_saved(self._store.snapshot())
        now = _Snapshot(state, dict(self._rows), set(self._written), self._epoch)
        self._snapshots = [*self._snapshots, now][-KEPT_SNAPSHOTS:]

    @rule()
    def flush(self) -> None:
        self._store.flush()

    @precondition(lambda self: self._snapshots)
    @rule(back=st.integers(1, KEPT_SNAPSHOTS), process=st.sampled_from(["same", "new", "killed"]))
    def restore(self, back: int, process: str) -> None:
        """In the same process, or in a new one after the old one ended or was killed."""
        if process == "new":
            self._store.flush()
            self._store.close()
        if process != "same":
            self._store = self._stores.open(_SHARDS)
        back = min(back, len(self._snapshots))
        saved = self._snapshots[-back]
        self._store.restore(saved.state)
        self._rows, self._written = dict(saved.rows), set(saved.written)
        self._epoch = saved.epoch
        self._snapshots = self._snapshots[: len(self._snapshots) - back + 1]

    def teardown(self) -> None:
        self._stores.close()
        self._folder.cleanup()
