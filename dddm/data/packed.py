"""Data sets and splits read from packed folders: memory-mapped, one indexing call per batch.

Shapes: N images, B of them in a batch, R = C·H·W bytes in an image.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve
from torch import Tensor

from dddm.data.examine import examine_source, examine_splits
from dddm.data.pack import identity_key, pack, verify_packed
from dddm.data.packed_format import (
    PackedManifest,
    images_files,
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

_MEMORY_SHARE: Final = 0.5
"""Of the machine's memory: a split that is larger may not stay in it from one epoch to the next."""


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
        self._images = info.images
        self._in_file = info.images_in_file
        names = images_files(name, images=info.images, in_file=info.images_in_file)
        hinted = info.images * packed.shape.values > _MEMORY_SHARE * _memory_bytes()
        self._files = [
            _ImageFile(folder / file, images=count, shape=packed.shape, hinted=hinted)
            for file, count in names.items()
        ]
        self._labels_N: Tensor | None = None
        if packed.classes:
            self._labels_file = folder / labels_file(name)
            labels = _map(self._labels_file, dtype="<i8", shape=(info.images,))
            self._labels_N = torch.from_numpy(labels.astype(np.int64, copy=False))

    def __len__(self) -> int:
        return self._images

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
        if ((index < 0) | (index >= self._images)).any():
            raise IndexError(f"index out of range: there are {self._images} images")
        file_B, place_B = index // self._in_file, index % self._in_file
        numbers: list[int] = torch.unique(file_B).tolist()
        parts = [(self._files[k], file_B == k) for k in numbers]
        for file, here_B in parts:  # in the disk's queue all at once
            file.prefetch(place_B[here_B])
        if len(parts) == 1:
            rows_BR = parts[0][0].read(place_B)
        else:
            rows_BR = torch.empty(len(index), self._shape.values, dtype=torch.uint8)
            for file, here_B in parts:
                rows_BR[here_B] = file.read(place_B[here_B])
        return rows_BR.view(-1, *self._shape.as_tuple)

    def labels(self, index: Tensor) -> Tensor | None:
        if self._labels_N is None:
            return None
        label_B = self._labels_N[index]
        if ((label_B < 0) | (label_B >= len(self._classes))).any():
            raise _damaged(self._labels_file, f"has labels outside 0…{len(self._classes) - 1}")
        return label_B


@final
class _ImageFile:
    """Some of a split's images, mapped.

    Args:
        hinted: whether the system is told which images will be read.  Without that a file that
            memory does not hold is read one image after the other, with much that lies around it.
    """

    def __init__(self, path: Path, *, images: int, shape: ImageShape, hinted: bool) -> None:
        array = _map(path, dtype="|u1", shape=(images, *shape.as_tuple))
        self._rows_nR = torch.from_numpy(array).view(images, shape.values)
        self._first_byte = path.stat().st_size - array.nbytes
        self._path, self._hinted = path, hinted

    def prefetch(self, place: Tensor) -> None:
        """Let the disk begin to fetch images (B,)."""
        if not self._hinted:
            return
        row_bytes = self._rows_nR.shape[1]
        with self._path.open("rb", buffering=0) as file:
            for at in place.tolist():
                offset = self._first_byte + at * row_bytes
                os.posix_fadvise(file.fileno(), offset, row_bytes, os.POSIX_FADV_WILLNEED)

    def read(self, place: Tensor) -> Tensor:
        """Images (B, R) at places (B,)."""
        # `rows[place]` copies byte by byte; this copies whole rows, on torch's threads.
        return torch.index_select(self._rows_nR, 0, place)


def _memory_bytes() -> float:
    """What this machine has; infinite where the system cannot be told what will be read."""
    if not hasattr(os, "posix_fadvise"):  # macOS
        return math.inf
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


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
