"""Splits read from a packed folder: memory-mapped, a batch by one indexing call.

Shapes: N images, B of them in a batch, R bytes (C·H·W) in an image.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from dddm.data.batch_buffers import BatchBuffers
from dddm.data.packed_format import PackedManifest, images_file, labels_file, read_manifest
from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape


@final
class PackedSplit(Split):
    """One split of a packed folder; its pages are shared by all processes that read it."""

    def __init__(self, folder: Path, *, name: str, packed: PackedManifest) -> None:
        """Map the images and read the labels.

        Raises:
            DataError: if a file has not the size that the manifest says.
        """
        facts = packed.splits[name]
        for file, known in facts.files.items():
            _check_size(folder / file, known.bytes)
        self._shape = packed.shape
        self._classes = packed.classes
        self._manifest = facts.manifest
        self._rows_NR = _map(folder / images_file(name), images=facts.images, shape=packed.shape)
        self._buffers = BatchBuffers(row_bytes=packed.shape.values)
        self._labels_N: Tensor | None = None
        if packed.classes:
            labels = np.load(folder / labels_file(name), allow_pickle=False)
            self._labels_N = torch.from_numpy(labels.astype(np.int64))

    def __len__(self) -> int:
        return len(self._rows_NR)

    @property
    def shape(self) -> ImageShape:
        """The shape that all images share."""
        return self._shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty where there are none."""
        return self._classes

    @property
    def manifest(self) -> str:
        """SHA-256, in hexadecimal, of shape, images and labels, as it was when they were packed."""
        return self._manifest

    def images(self, index: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8, CPU, for indices (B,), int64."""
        rows_BR = self._buffers.take(len(index))
        # Not `rows[index]`, which copies byte by byte: this copies whole rows, on torch's threads.
        torch.index_select(self._rows_NR, 0, index, out=rows_BR)
        return rows_BR.view(-1, *self._shape.as_tuple)

    def labels(self, index: Tensor) -> Tensor | None:
        """Labels (B,), int64, CPU; None where there are no classes."""
        return None if self._labels_N is None else self._labels_N[index]


def open_packed(folder: Path) -> Mapping[str, PackedSplit]:
    """The splits of a packed folder, by name; its checksums are not computed.

    Raises:
        DataError: if it is damaged as far as its manifest and the sizes of its files show.
    """
    packed = read_manifest(folder)
    return {name: PackedSplit(folder, name=name, packed=packed) for name in packed.splits}


def _check_size(path: Path, known: int) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found != known:
        state = "is missing" if found is None else f"has {found:,} bytes instead of {known:,}"
        raise DataError(
            f"the packed images are damaged: {path.name} {state}",
            where=str(path),
            remedy=f"remove {path.parent}; the same command packs them again",
        )


def _map(path: Path, *, images: int, shape: ImageShape) -> Tensor:
    """(N, R), uint8."""
    # "c", copy on write: torch warns of memory that it must not write to, and the file stays as
    # it is whatever is written.
    array = np.load(path, mmap_mode="c", allow_pickle=False) if images else np.empty(0, np.uint8)
    return torch.from_numpy(np.asarray(array)).view(images, shape.values)
