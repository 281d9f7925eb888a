"""Source of x_0: named splits of uint8 images, read in batches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from dddm.interfaces.data_report import DataReport, ProgressCallback, no_progress
from dddm.interfaces.info import ImageShape


class Split(ABC):
    """Images 0…N-1 of one shape, read by index."""

    @abstractmethod
    def __len__(self) -> int:
        """Number N of images."""

    @property
    @abstractmethod
    def shape(self) -> ImageShape:
        """Shape of every image."""

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty if there are no classes."""

    @property
    @abstractmethod
    def manifest(self) -> str:
        """Hexadecimal SHA-256 of images and labels: equal exactly if the data are.

        It is what `dddm.support.manifest.manifest_of` gives for all of them.
        """

    @abstractmethod
    def images(self, index: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8, CPU, for indices (B,), int64, in their order.

        Indices may repeat.  The caller may write into the result.
        """

    @abstractmethod
    def labels(self, index: Tensor) -> Tensor | None:
        """Labels (B,), int64, CPU, in 0…classes-1; None if there are no classes."""


class Dataset(ABC):
    """Named splits.  A target of kind `dataset` is called as `target(options)`."""

    @abstractmethod
    def splits(self) -> Mapping[str, Split]:
        """The splits by name: always `train`, and `held-out` if there are images for it.

        Raises:
            DataError: if files are missing or damaged.
        """

    def prepare(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> Path | None:
        """Do slow work that is needed once, such as packing images; by default nothing.

        `splits` does it if it was not done.  Commands call this first, to show progress.

        Args:
            progress: called with the number of images done; may raise to stop the work.
            workers: number of processes; None for one per core.

        Returns:
            The folder of the result, or None if nothing is stored.

        Raises:
            DataError: if files are missing or damaged.
            EnvironmentProblem: if there is no space or no write permission.
        """
        return None

    def open(self, prepared: Path | None) -> Mapping[str, Split]:
        """The splits, where `prepare` was called just before, here or in another process.

        By default as `splits`.  Data that are prepared need not look at their source again, which
        may have millions of files: the first process does, for all.

        Args:
            prepared: what `prepare` gave.

        Raises:
            DataError: if files are missing or damaged.
        """
        del prepared
        return self.splits()

    def check(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> DataReport | None:
        """Examine every image; None, the default, to have the splits examined instead.

        Args:
            progress: called with the number of images done; may raise to stop the work.
            workers: number of processes; None for one per core.

        Raises:
            DataError: if there is nothing to examine.
        """
        del progress, workers
        return None
