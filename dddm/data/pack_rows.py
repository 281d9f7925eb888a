"""Decoded images written to their places in the packed files.  Imports no torch."""

import io
import itertools
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.data.pack_source import Block, Chunk, PackSource
from dddm.data.workers import Count
from dddm.errors import DataError
from dddm.interfaces.findings import Problem
from dddm.support.files import raise_on_disk_full

_PAGE_BYTES: Final = 4096
_PREFIX_BYTES: Final = 10
"""Of a .npy file: magic, version, and the header's length in two bytes."""


@final
@frozen(kw_only=True)
class Rows:
    """A .npy file whose rows are written in any order, by any process.

    Attributes:
        start: bytes of the header.
        row_bytes: of one image or label.
        rows: how many.
    """

    path: Path
    start: int
    row_bytes: int
    rows: int

    @classmethod
    def at(cls, path: Path, *, dtype: str, shape: tuple[int, ...]) -> "Rows":
        """The file as it is, or is to be: its header says `dtype` and `shape`."""
        return cls(
            path=path,
            start=len(_header(dtype=dtype, shape=shape)),
            row_bytes=np.dtype(dtype).itemsize * math.prod(shape[1:]),
            rows=shape[0],
        )

    @classmethod
    def create(cls, path: Path, *, dtype: str, shape: tuple[int, ...]) -> "Rows":
        """A file of the full size, so that a disk that is too small is noticed at once.

        Raises:
            EnvironmentProblem: if there is no space.
        """
        made = cls.at(path, dtype=dtype, shape=shape)
        with raise_on_disk_full(path), path.open("wb") as file:
            file.write(_header(dtype=dtype, shape=shape))
            file.flush()
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, made.size_bytes)
            file.truncate(made.size_bytes)
        return made

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return self.start + self.rows * self.row_bytes

    def is_whole(self) -> bool:
        """Whether the file has its full size."""
        return self.path.is_file() and self.path.stat().st_size == self.size_bytes

    def write(
        self, descriptor: int, rows: npt.NDArray[np.int64], values: npt.NDArray[np.generic]
    ) -> None:
        """Put `values` (n, …) to the rows (n,), ascending; neighbours in one piece."""
        for first, last in _runs(rows):
            piece = memoryview(np.ascontiguousarray(values[first:last]).view(np.uint8).data).cast(
                "B"
            )
            place = self.start + int(rows[first]) * self.row_bytes
            while piece:
                written = os.pwrite(descriptor, piece, place)
                piece, place = piece[written:], place + written


def _header(*, dtype: str, shape: tuple[int, ...]) -> bytes:
    """As numpy writes it, but filled up with spaces to a whole page of memory.

    Images whose size is a multiple of a page then touch one page less each when they are read.
    """
    written = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(written, header)
    text = written.getvalue()[_PREFIX_BYTES:].rstrip(b"\n")
    length = _PAGE_BYTES - _PREFIX_BYTES
    magic = written.getvalue()[: _PREFIX_BYTES - 2]
    return magic + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"


def _runs(rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ends of the stretches in which each row follows the one before."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    ends = [0, *breaks.tolist(), len(rows)]
    return ((a, b) for a, b in itertools.pairwise(ends) if b > a)


@final
@frozen(kw_only=True)
class Written:
    """What became of a chunk.

    Attributes:
        remarks: of its images, summed up.
        problem: at which it was given up; None where the chunk is on the disk.
    """

    remarks: Mapping[str, int]
    problem: Problem | None = None


@final
@frozen(kw_only=True)
class WriteChunk:
    """Decodes a chunk and writes it: the work of one process at a time.

    Attributes:
        files: the files of each split by the split's name: images, then labels where there are
            classes.
    """

    source: PackSource
    files: Mapping[str, tuple[Rows, ...]]

    def __call__(self, chunk: Chunk, count: Count) -> Written:
        """Put all images of the chunk on the disk, or stop at the first problem.

        Raises:
            DataError: if nothing of the chunk can be used.
            EnvironmentProblem: if there is no space.
        """
        remarks: Counter[str] = Counter()
        images = 0
        with _Descriptors() as descriptors:
            for block in self.source.decode(chunk):
                if isinstance(block, Problem):
                    return Written(remarks={}, problem=block)
                self._write(block, descriptors)
                images += len(block.rows)
                remarks.update(block.remarks)
                count(len(block.rows))
        if images != chunk.images:
            raise DataError(
                f"{chunk.images} images were announced and {images} were found",
                remedy="the files changed while they were read; give the same command again",
            )
        return Written(remarks=dict(remarks))

    def _write(self, block: Block, descriptors: "_Descriptors") -> None:
        files = self.files[block.split]
        values = (block.images, block.labels)
        for rows, value in zip(files, values[: len(files)], strict=True):
            assert value is not None
            with raise_on_disk_full(rows.path):
                rows.write(descriptors.of(rows), block.rows, value)


@final
class _Descriptors:
    """Files open for writing, synced when the block ends well."""

    def __init__(self) -> None:
        self._open: dict[Path, int] = {}

    def __enter__(self) -> "_Descriptors":
        return self

    def of(self, rows: Rows) -> int:
        """A descriptor of the file, opened when it is first needed."""
        if rows.path not in self._open:
            self._open[rows.path] = os.open(rows.path, os.O_WRONLY)
        return self._open[rows.path]

    def __exit__(self, kind: object, *_: object) -> None:
        for path, descriptor in self._open.items():
            try:
                if kind is None:
                    with raise_on_disk_full(path):
                        os.fsync(descriptor)
            finally:
                os.close(descriptor)
