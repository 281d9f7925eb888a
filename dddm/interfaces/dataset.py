"""Where x_0 comes from: named splits of uint8 images that are read in batches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from dddm.interfaces.data_report import DataReport, ProgressCallback, no_progress
from dddm.interfaces.info import ImageShape


class Split(ABC):
    """Images 0…N-1 of one shape, read by index, a batch at a time, without decoding."""

    @abstractmethod
    def __len__(self) -> int:
        """N, how many images there are."""

    @property
    @abstractmethod
    def shape(self) -> ImageShape:
        """The shape that all images share."""

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty where there are none."""

    @property
    @abstractmethod
    def manifest(self) -> str:
        """SHA-256, in hexadecimal, of images and labels: equal exactly where the data are."""

    @abstractmethod
    def images(self, index: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8, CPU, for indices (B,), int64, in their order.

        An index may stand there more than once.  The tensor is the caller's, who may write into it.
        """

    @abstractmethod
    def labels(self, index: Tensor) -> Tensor | None:
        """Labels (B,), int64, CPU, in 0…classes-1; None where there are no classes."""


class Dataset(ABC):
    """Named splits.  A target of kind `dataset` is called as `target(options)`."""

    @abstractmethod
    def splits(self) -> Mapping[str, Split]:
        """The splits by name: always `train`; `held-out` where there are images for it.

        Raises:
            DataError: if files are missing or damaged.
        """

    def prepare(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> Path | None:
        """Do what takes long and is done once, such as packing images; by default nothing.

        `splits` does it by itself where it was not done; a command calls this first, to show how
        far it is.

        Args:
            progress: told how many images are done; it may raise in order to stop.
            workers: processes that share the work; None for one a core.

        Returns:
            The folder that holds what was made, or None where nothing is kept.

        Raises:
            DataError: if files are missing or damaged.
            EnvironmentProblem: if there is no space or no right to write.
        """
        return None

    def check(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> DataReport | None:
        """Look at every image: count, compare, and say what is wrong; None to look in the splits.

        Args:
            progress: told how many images are done; it may raise in order to stop.
            workers: processes that share the work; None for one a core.

        Raises:
            DataError: if there is nothing that could be looked at.
        """
        del progress, workers
        return None
