"""A place where target stores are opened, as in one process or several, and compared."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, final

import torch
from safetensors.torch import load, save
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import ShardState, TargetStore
from dddm.testing.check import expect
from dddm.testing.subject import Subject

SEED: Final = 3
_ROUNDING: Final = 1e-6


@final
class Bench:
    """Opens stores of one subject in one folder, each in epoch 0.

    Attributes:
        shape: of a row.
        kept_snapshots: that stores are told to keep.
    """

    shape: Final = ImageShape(channels=2, height=1, width=3)
    kept_snapshots: Final = 2

    def __init__(self, subject: Subject, *, folder: Path, device: torch.device) -> None:
        self._subject = subject
        self._folder = folder
        self._device = device
        self._opened: list[TargetStore] = []
        self._relative_error = self._bound()

    def _bound(self) -> float:
        said = self._subject.component.conformance.relative_error
        return said(self._subject.use.options) if callable(said) else said

    def opened(
        self,
        shards: Shards,
        *,
        seed: int = SEED,
        initial: Literal["noise", "zeros"] = "noise",
    ) -> TargetStore:
        """A new store, as in a new process, with the folder that the others have had."""
        store: TargetStore = self._subject.make()
        store.open(
            shards=shards,
            shape=self.shape,
            seed=seed,
            folder=self._folder,
            device=self._device,
            kept_snapshots=self.kept_snapshots,
            initial=initial,
        )
        self._opened.append(store)
        store.begin_epoch(0)
        return store

    def processes(
        self, processes: int, *, images: int, count: int
    ) -> list[tuple[TargetStore, Shards]]:
        """A store for each of so many processes, with its shards."""
        every = [
            Shards.of_process(images=images, count=count, rank=rank, processes=processes)
            for rank in range(processes)
        ]
        return [(self.opened(shards), shards) for shards in every]

    def expect_kept(self, found: Tensor, given: Tensor, what: str) -> None:
        """Expect rows within the bound that the registration names, image by image."""
        largest = given.flatten(1).abs().amax(1)
        off = (found - given).flatten(1).abs().amax(1)
        bound = (self._relative_error + _ROUNDING) * largest
        worst = float((off / largest.clamp_min(_ROUNDING)).max()) if len(off) else 0.0
        expect(
            bool((off <= bound).all()),
            f"{what} are off by {worst:.3g} of an image's largest number, and the bound is "
            f"{self._relative_error:.3g}",
            remedy="say Conformance(relative_error=…) if that is the precision of the store",
        )

    def close(self) -> None:
        """Close all stores; a second time for those that were closed."""
        for store in self._opened:
            store.close()


@contextmanager
def bench(subject: Subject, *, device: torch.device | None = None) -> Iterator[Bench]:
    """A bench with a folder that is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        at = Bench(subject, folder=Path(folder), device=device or torch.device("cpu"))
        try:
            yield at
        finally:
            at.close()


def as_saved(state: Mapping[int, ShardState]) -> dict[int, ShardState]:
    """A snapshot as a checkpoint brings it back: through bytes, sharing no memory."""
    return {
        shard: load(save({name: part.contiguous() for name, part in parts.items()}))
        for shard, parts in state.items()
    }
