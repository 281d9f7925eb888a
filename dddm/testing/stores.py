"""Opens target stores for their checks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, final

import torch
from safetensors.torch import load, save
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import ShardState, TargetStore
from dddm.testing.subject import Subject

SHAPE: Final = ImageShape(channels=2, height=1, width=3)
"""Of a row."""
KEPT_SNAPSHOTS: Final = 2
SHARDS: Final = Shards(images=10, count=5, owned=(1, 4))
ROUNDING: Final = 1e-6


@final
class Stores:
    """Opens stores of one subject in one folder, as processes one after the other would."""

    def __init__(self, subject: Subject, *, folder: Path, device: torch.device) -> None:
        self._subject = subject
        self._folder = folder
        self._device = device
        self._opened: list[TargetStore] = []
        said = subject.component.conformance.relative_error
        self._relative_error = said(subject.use.options) if callable(said) else said

    def open(
        self,
        shards: Shards = SHARDS,
        *,
        seed: int = 3,
        initial: Literal["noise", "zeros"] = "noise",
    ) -> TargetStore:
        """A new store in epoch 0, in the folder that all have."""
        store: TargetStore = self._subject.make()
        store.open(
            shards=shards,
            shape=SHAPE,
            seed=seed,
            folder=self._folder,
            device=self._device,
            kept_snapshots=KEPT_SNAPSHOTS,
            initial=initial,
        )
        self._opened.append(store)
        store.begin_epoch(0)
        return store

    def assert_rows(self, found: Tensor, written: Tensor, what: str) -> None:
        """Require rows within the error that the registration declares, image by image."""
        largest = written.flatten(1).abs().amax(1)
        off = (found - written).flatten(1).abs().amax(1)
        worst = float((off / largest.clamp_min(ROUNDING)).max()) if len(off) else 0.0
        assert (off <= (self._relative_error + ROUNDING) * largest).all(), (
            f"{what} are off by {worst:.3g} of an image's largest number, but relative_error is "
            f"{self._relative_error:.3g}: correct Conformance(relative_error=…)"
        )

    def close(self) -> None:
        """Close all stores; a second time for those that were closed."""
        for store in self._opened:
            store.close()


def as_saved(state: Mapping[int, ShardState]) -> dict[int, ShardState]:
    """A snapshot as a checkpoint brings it back: through bytes, sharing no memory."""
    return {
        shard: load(save({name: part.contiguous() for name, part in parts.items()}))
        for shard, parts in state.items()
    }
