"""X̂, the target store: one estimate of each training image (algorithm 1)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dddm.interfaces.facts import ImageShape


class TargetStore(ABC):
    """Rows of shape (C, H, W), keyed by the image's index in its data set.

    Before it is written, a row is N(0, I) noise that depends on the seed and the index alone (see
    `dddm.support.noise`).  Within one epoch a row may be written once; `begin_epoch` starts anew.

    A target of kind `target-store` is called as `target(options)`, then opened once.
    """

    @abstractmethod
    def open(
        self,
        *,
        images: int,
        shape: ImageShape,
        seed: int,
        owned: Tensor,
        folder: Path,
        device: torch.device,
    ) -> None:
        """Make the store ready.

        Args:
            images: N, how many images the data set has.
            shape: of one row.
            seed: of the initial noise.
            owned: indices that this process owns, (n,), int64, ascending, on the CPU.
            folder: where a store on disk may keep its files; exists and is the store's own.
            device: where `read` returns estimates and `write` gets them.
        """

    @abstractmethod
    def size_bytes(self) -> int:
        """What the open store takes when every row is in it."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """From here on every row may be written once more."""

    @abstractmethod
    def read(self, index: Tensor) -> Tensor:
        """Rows (B, C, H, W), float32, on the device, for distinct indices (B,), int64, CPU.

        Raises:
            ValueError: if an index is not this process's own.
        """

    @abstractmethod
    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        """Replace rows by estimates (B, C, H, W) of any floating dtype, on the device.

        Raises:
            ValueError: if an index is not this process's own, was written in this epoch already,
                or stands twice in `index`; no row is changed then.
        """

    @abstractmethod
    def peek(self, index: Tensor) -> Tensor:
        """Like `read`, for diagnostics: leaves no trace and does not count as a read."""

    @abstractmethod
    def flush(self) -> None:
        """Bring everything written to where it survives a crash of the process."""

    @abstractmethod
    def snapshot(self) -> Mapping[str, Tensor]:
        """The store's whole state as named tensors on the CPU, for a checkpoint.

        It includes which rows this epoch has written, so that a run can go on within an epoch.
        """

    @abstractmethod
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to what `snapshot` gave.

        Raises:
            ValueError: if the state is of another shape, size or kind of store.
        """
