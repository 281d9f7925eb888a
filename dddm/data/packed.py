"""Data sets and splits read from packed folders: memory-mapped, one indexing call per batch.

Shapes: N images, B of them in a batch, R = C·H·W bytes in an image.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve
from torch import Tensor

from dddm.data.examine import examine_source, examine_splits
from dddm.data.pack import identity_key, pack, verify_packed
from dddm.data.packed_format import (
    PackedManifest,
    images_file,
    labels_file,
    read_manifest,
    refuse_other_images,
)
from dddm.data.source import PackSource
from dddm.data.workers import usable_cores
from dddm.errors import DataError
from dddm.interfaces.data_report import DataReport, ProgressCallback, no_progress
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.info import ImageShape
from dddm.support.cache import cache_folder
from dddm.support.files import path_exists, user_path


@final
class PackedDataset(Dataset):
    """The images of a source, packed when they are first needed."""

    def __init__(self, *, name: str, source: PackSource, packed: str | None) -> None:
        """Read nothing yet.

        Args:
            name: for the folder's name in the cache.
            packed: the packed folder; None for one in the cache, named after the source's key.
        """
        self._name = name
        self._source = source
        self._packed = None if packed is None else user_path(packed)
        self._splits: Mapping[str, PackedSplit] | None = None

    def prepare(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> Path:
        """Pack the images if they are not packed yet; return the folder.

        Raises:
            DataError: if the source is missing or unusable, or `packed` holds other images.
            EnvironmentProblem: if there is no space or no write permission.
        """
        folder, key = self._folder_and_key()
        if not path_exists(folder):
            assert key is not None
            workers = workers or usable_cores()
            pack(self._source, folder=folder, key=key, workers=workers, progress=progress)
        elif key is not None:
            refuse_other_images(folder, key=key)
        return folder

    def _folder_and_key(self) -> tuple[Path, str | None]:
        """The key is None where a packed folder stands in for an absent source."""
        if self._packed is not None and path_exists(self._packed) and not self._source.exists():
            return self._packed, None
        key = identity_key(self._source)
        return self._packed or cache_folder() / "packed" / f"{self._name}-{key[:12]}", key

    def splits(self) -> Mapping[str, Split]:
        return self._splits or self.open(self.prepare())

    def open(self, prepared: Path | None) -> Mapping[str, Split]:
        if self._splits is None:
            assert prepared is not None
            self._splits = open_packed(prepared)
        return self._splits

    def check(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> DataReport:
        """Decode every image of the source, and verify the packed folder if there is one.

        If the source is absent, only the packed folder is examined.
        """
        folder, key = self._folder_and_key()
        if key is None:
            report = examine_splits(open_packed(folder), progress=progress)
        else:
            workers = workers or usable_cores()
            report = examine_source(self._source, workers=workers, progress=progress)
        if not path_exists(folder):
            return evolve(report, notes=(*report.notes, "the images are not packed yet"))
        problems = verify_packed(folder, key=key, progress=progress)
        return evolve(report, problems=(*report.problems, *problems), packed=str(folder))


@final
class PackedSplit(Split):
    """One split of a packed folder; all processes that read it share its pages."""

    def __init__(self, folder: Path, *, name: str, packed: PackedManifest) -> None:
        """Map images and labels; what is read is shared by all processes of this machine.

        Raises:
            DataError: if a file differs in size or shape from the manifest.
        """
        info = packed.splits[name]
        for file, known in info.files.items():
            _check_size(folder / file, known.bytes)
        self._shape = packed.shape
        self._classes = packed.classes
        self._manifest = info.manifest
        shape = (info.images, *packed.shape.as_tuple)
        images = _map(folder / images_file(name), dtype="|u1", shape=shape)
        self._rows_NR = torch.from_numpy(images).view(info.images, packed.shape.values)
        self._labels_N: Tensor | None = None
        if packed.classes:
            self._labels_file = folder / labels_file(name)
            labels = _map(self._labels_file, dtype="<i8", shape=shape[:1])
            self._labels_N = torch.from_numpy(labels.astype(np.int64, copy=False))

    def __len__(self) -> int:
        return len(self._rows_NR)

    @property
    def shape(self) -> ImageShape:
        return self._shape

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def manifest(self) -> str:
        return self._manifest

    def images(self, index: Tensor) -> Tensor:
        # `rows[index]` copies byte by byte; this copies whole rows, on torch's threads.
        rows_BR = torch.index_select(self._rows_NR, 0, index)
        return rows_BR.view(-1, *self._shape.as_tuple)

    def labels(self, index: Tensor) -> Tensor | None:
        if self._labels_N is None:
            return None
        label_B = self._labels_N[index]
        if ((label_B < 0) | (label_B >= len(self._classes))).any():
            raise _damaged(self._labels_file, f"has labels outside 0…{len(self._classes) - 1}")
        return label_B


def open_packed(folder: Path) -> Mapping[str, PackedSplit]:
    """Open the splits of a packed folder by name, without computing checksums.

    Raises:
        DataError: if the manifest or a file's size shows damage.
    """
    packed = read_manifest(folder)
    return {name: PackedSplit(folder, name=name, packed=packed) for name in packed.splits}


def _check_size(path: Path, known: int) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found != known:
        state = "is missing" if found is None else f"has {found:,} bytes instead of {known:,}"
        raise _damaged(path, state)


def _map(path: Path, *, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Map an array, compared with what it must be before it is used.

    Copy on write: torch warns about read-only memory, and the file must not change.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="c")
    except Exception as error:  # damage leads to exceptions of many types
        raise _damaged(path, f"cannot be read: {error}") from error
    if (array.dtype, array.shape, array.flags.c_contiguous) != (np.dtype(dtype), shape, True):
        raise _damaged(path, f"is {array.dtype} {array.shape} instead of {dtype} {shape}")
    return np.asarray(array)


def _damaged(path: Path, state: str) -> DataError:
    return DataError(
        f"the packed images are damaged: {path.name} {state}",
        where=str(path),
        remedy=f"remove {path.parent}; the same command packs the images again",
    )
