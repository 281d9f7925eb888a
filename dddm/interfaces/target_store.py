"""X̂, the target store: one estimate of each training image (algorithm 1).

More generally it keeps one field of an objective's memory, whose rows may be others than images.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.data_report import ProgressCallback, no_progress
from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards

ShardState = Mapping[str, Tensor]


@final
@frozen(kw_only=True)
class MemoryUsage:
    """Bytes that a store takes when every row is in it.

    Attributes:
        memory: main memory of this process.
        disk: in the store's folder, at most, with all that its snapshots hold on to.
        device: memory of the device.
    """

    memory: int = 0
    disk: int = 0
    device: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.memory + self.disk + self.device


class TargetStore(ABC):
    """Rows of shape (C, H, W), keyed by the image's index in its data set.

    Before it is written, a row is N(0, I) noise that depends on the seed and the index alone (see
    `dddm.support.noise`), or zeros.  A row may be written once per epoch; `begin_epoch` starts the
    next one.

    A target of kind `target-store` is called as `target(options)`, then opened once.
    """

    @abstractmethod
    def memory_usage(self, *, rows: int, shape: ImageShape, kept_snapshots: int) -> MemoryUsage:
        """Bytes that a store of `rows` rows needs; called before `open`."""

    def choose_folder(self, folder: Path) -> Path:
        """Where a store on disk keeps its files, if its options name another disk; made if absent.

        Args:
            folder: in the run folder, one for each field of the objective's memory; the default.
                Runs and fields must not meet in one folder, and be given the same one each time.
        """
        return folder

    @abstractmethod
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
        """Prepare the store.  This must take seconds, however many rows there are.

        Args:
            shards: the images that this process owns.
            shape: of one row.
            seed: of the initial noise.
            folder: what `choose_folder` gave; exists, and is shared by the stores of all
                processes, so that a file belongs to one shard.
            device: where `read` returns estimates and `write` gets them.
            kept_snapshots: how many of the newest snapshots `restore` must be able to return to.
            initial: what a row is before it is written.

        Raises:
            EnvironmentProblem: if the machine lacks what it takes.
        """

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """From here on every row may be written once more.

        Epochs rise; to begin the present one again changes nothing.
        """

    @abstractmethod
    def read(self, index: Tensor) -> Tensor:
        """Rows (B, C, H, W), float32, on the device, for distinct indices (B,), int64, CPU.

        Raises:
            ValueError: if an index is not this process's own.
            EstimatesLost: if a row fails its checksum.
        """

    def prefetch(self, index: Tensor) -> None:  # noqa: B027 - to do nothing is right
        """Start to read `index`, which `read` will ask for next; by default does nothing."""

    @abstractmethod
    def write(self, index: Tensor, *, estimate: Tensor) -> None:
        """Replace rows by estimates (B, C, H, W) of any floating dtype, on the device.

        Raises:
            ValueError: if an index is not this process's own, was written in this epoch already,
                or stands twice in `index`; no row is changed then.
            TrainingFailed: if a number cannot be kept; no row is changed then.
            EnvironmentProblem: if there is no space; no row is changed then.
        """

    @abstractmethod
    def peek(self, index: Tensor) -> Tensor:
        """Like `read`, for diagnostics: changes no state, such as what was prefetched."""

    @abstractmethod
    def flush(self) -> None:
        """Return once everything written survives a crash of the machine (fsync)."""

    @abstractmethod
    def snapshot(self) -> Mapping[int, ShardState]:
        """The state of each owned shard as named tensors on the CPU, for a checkpoint.

        A store on disk may keep the rows where they are and say only where that is; then these
        must stay until `kept_snapshots` newer snapshots were taken.  The tensors may share the
        store's memory: they are to be used before the next write.  They include which rows this
        epoch has written, so that a run can resume within an epoch.
        """

    @abstractmethod
    def restore(self, state: Mapping[int, ShardState]) -> None:
        """Return to what `snapshot` gave, in this process or in those that owned the shards then.

        Args:
            state: of all owned shards at least, and perhaps of others.

        Raises:
            ValueError: if the state is of another shape, size or kind of store.
            EstimatesLost: if the rows are not in the state, and no longer where it says.
        """

    def verify(self, *, progress: ProgressCallback = no_progress) -> None:  # noqa: B027 - to do nothing is right
        """After `restore`, verify the checksums of rows that the state only refers to.

        May read every row; reports to `progress`.

        Raises:
            EstimatesLost: if some have changed; the run then falls back to the previous checkpoint.
        """

    def close(self) -> None:  # noqa: B027 - to do nothing is right
        """Stop threads and close files; the store is not used again."""
