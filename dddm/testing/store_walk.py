"""A walk through the states of a target store, beside a dictionary that does what it should do.

Orders are drawn from a seed.  A failure names the orders that led to it.
"""

import random
from collections.abc import Callable
from typing import Final, final

import torch
from attrs import define
from torch import Tensor

from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import ShardState
from dddm.testing.check import ConformanceFailure, expecting
from dddm.testing.material import noise
from dddm.testing.store_bench import Bench, as_saved

IMAGES: Final = 11
SHARDS: Final = 4
_OWN: Final = (0, 2)
_OFTEN: Final = 0.5
_USUALLY: Final = 0.7


@final
@define
class _Saved:
    """A snapshot, and what the dictionary held."""

    state: dict[int, ShardState]
    rows: dict[int, Tensor]
    written: set[int]
    epoch: int


@final
class _Walk:
    """A store of some shards, and the rows that it is to have."""

    def __init__(self, at: Bench, *, seed: int) -> None:
        self._at = at
        self._draw = random.Random(seed)  # noqa: S311 - no secret
        self._shards = Shards(images=IMAGES, count=SHARDS, owned=_OWN)
        self.held = torch.cat([self._shards.images_of(shard) for shard in _OWN]).tolist()
        self._store = at.opened(self._shards)
        first = self._store.peek(torch.tensor(self.held))
        self.rows = dict(zip(self.held, first.clone(), strict=True))
        self._written: set[int] = set()
        self._epoch = 0
        self._number = 0
        self._saved: list[_Saved] = []
        self.orders: list[str] = []

    def step(self) -> None:
        """One order, and a look at all rows."""
        orders: list[Callable[[], None]] = [
            self._write, self._read, self._begin_epoch, self._snapshot, self._flush,
        ]  # fmt: skip
        weights = [6, 1, 2, 1, 1]
        if self._saved:
            orders += [self._restore, self._crash]
            weights += [1, 1]
        (order,) = self._draw.choices(orders, weights)
        order()
        self._compare(self._store.peek(torch.tensor(self.held)), self.held)

    def _some(self) -> list[int]:
        return [self._draw.choice(self.held) for _ in range(self._draw.randint(1, 4))]

    def _compare(self, found: Tensor, images: list[int]) -> None:
        wanted = torch.stack([self.rows[image] for image in images])
        self._at.expect_kept(found, wanted, "rows")

    def _announce(self, images: list[int]) -> None:
        """Sometimes."""
        if self._draw.random() < _OFTEN:
            self.orders.append(f"prefetch {images}")
            self._store.prefetch(torch.tensor(images))

    def _write(self) -> None:
        images = self._some()
        fresh = [image for image in self.held if image not in self._written]
        if fresh and self._draw.random() < _USUALLY:
            images = self._draw.sample(fresh, self._draw.randint(1, min(3, len(fresh))))
        self._announce(sorted(set(images)))
        self._number += 1
        given = noise(len(images), *self._at.shape.as_tuple, seed=self._number)
        if len(set(images)) == len(images) and not set(images) & self._written:
            self.orders.append(f"write {images}")
            self._store.write(torch.tensor(images), estimate=given)
            self.rows.update(zip(images, given.clone(), strict=True))
            self._written |= set(images)
        else:
            self.orders.append(f"write {images}, one a second time")
            with expecting(ValueError, otherwise=f"{images} were written, one a second time"):
                self._store.write(torch.tensor(images), estimate=given)
        given.zero_()

    def _read(self) -> None:
        images = list(dict.fromkeys(self._some()))
        self._announce(images)
        self.orders.append(f"read {images}")
        self._compare(self._store.read(torch.tensor(images)), images)

    def _begin_epoch(self) -> None:
        more = self._draw.randint(0, 2)
        self._epoch += more
        if more:
            self._written = set()
        self.orders.append(f"begin epoch {self._epoch}")
        self._store.begin_epoch(self._epoch)

    def _flush(self) -> None:
        self.orders.append("flush")
        self._store.flush()

    def _snapshot(self) -> None:
        self.orders.append("snapshot")
        state = as_saved(self._store.snapshot())
        now = _Saved(state, dict(self.rows), set(self._written), self._epoch)
        self._saved = [*self._saved, now][-self._at.kept_snapshots :]

    def _crash(self) -> None:
        """A new process; the old one ended, or was killed."""
        if self._draw.random() < _OFTEN:
            self.orders.append("flush and close")
            self._store.flush()
            self._store.close()
        self.orders.append("open anew")
        self._store = self._at.opened(self._shards)
        self._restore()

    def _restore(self) -> None:
        number = self._draw.randrange(len(self._saved))
        age = "newest" if number == len(self._saved) - 1 else "second newest"
        self.orders.append(f"restore the {age} snapshot")
        saved = self._saved[number]
        self._store.restore(saved.state)
        self.rows, self._written = dict(saved.rows), set(saved.written)
        self._epoch = saved.epoch
        self._saved = self._saved[: number + 1]


def walk(at: Bench, *, seed: int, steps: int) -> None:
    """Give so many orders.

    Raises:
        ConformanceFailure: with the orders, once the store differs from the dictionary.
    """
    on = _Walk(at, seed=seed)
    try:
        for _ in range(steps):
            on.step()
    except Exception as error:
        seen = error.seen if isinstance(error, ConformanceFailure) else repr(error)
        raise ConformanceFailure(f"{seen}, after: {'; '.join(on.orders)} (walk {seed})") from error
