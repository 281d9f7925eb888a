"""Every kind of target store, opened in a folder."""

from pathlib import Path
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import TargetStore
from dddm.registry.loader import load_catalogue
from dddm.testing.stores import as_saved

__all__ = ["CPU", "KINDS", "StoreKind", "as_saved"]

CPU: Final = torch.device("cpu")


@final
@frozen
class StoreKind:
    """A place and a precision."""

    place: str
    precision: str

    def make(self) -> TargetStore:
        """A store of this kind, not opened yet."""
        component = load_catalogue().find(Kind.TARGET_STORE, f"dddm:{self.place}")
        store: TargetStore = component.load()(component.options(precision=self.precision))
        return store

    def open(
        self,
        folder: Path,
        *,
        shards: Shards,
        shape: ImageShape,
        seed: int = 3,
        kept_snapshots: int = 2,
    ) -> TargetStore:
        """A store of this kind, ready."""
        store = self.make()
        folder.mkdir(parents=True, exist_ok=True)
        store.open(
            shards=shards,
            shape=shape,
            seed=seed,
            folder=folder,
            device=CPU,
            kept_snapshots=kept_snapshots,
        )
        return store

    def kept(self, estimate: Tensor) -> Tensor:
        """What this precision makes of estimates that it keeps."""
        if self.precision == "int8":
            scale = estimate.flatten(1).abs().amax(1).clamp_min(1e-37) / 127
            scale = scale.view(-1, *[1] * (estimate.ndim - 1))
            return (estimate / scale).round() * scale
        return estimate.to(getattr(torch, self.precision), copy=True).float()

    def __str__(self) -> str:
        return f"{self.place}-{self.precision}"


KINDS: Final = tuple(
    StoreKind(place, precision)
    for place in ("ram", "mmap", "device")
    for precision in ("float32", "float16", "bfloat16", "int8")
)
