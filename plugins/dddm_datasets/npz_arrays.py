"""Arrays of an .npz file, in blocks of rows, so that no array needs to fit into memory.

Imports no torch.  Nothing is unpickled: an array of Python objects is refused.  Nothing is
allocated by what a header says before it is compared with what the archive can hold.
"""

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.errors import DataError
from dddm_datasets.zip_members import fill, refuse_impossible

MOST_ROWS: Final = 1 << 24
"""Labels of so many images, and what is computed of them, fit into memory."""
LARGEST_ROW_BYTES: Final = 1 << 26

_BLOCK_BYTES: Final = 1 << 23
_LARGEST_BY_COLUMNS: Final = 1 << 27
_LARGEST_HEADER_BYTES: Final = 10_240
_SHOWN_LETTERS: Final = 200
_SUFFIX: Final = ".npy"
_HEADER_READERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@final
@frozen(kw_only=True)
class ArrayHeader:
    """What an array's header declares.

    Attributes:
        offset: number of bytes before the array's.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    offset: int

    @property
    def bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape)

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"[:_SHOWN_LETTERS]


@contextmanager
def _reading(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the archive; name it in the error for whatever goes wrong with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (DataError, GeneratorExit):
        raise
    except Exception as error:  # damage leads to exceptions of many types
        raise DataError(
            f"{path.name} cannot be read: {error}",
            where=str(path),
            remedy="get the file again; pickled Python objects are not read",
        ) from error


def read_headers(path: Path) -> Mapping[str, ArrayHeader]:
    """The headers of all arrays, by name.

    Raises:
        DataError: if it is not an .npz file, or a header does not match the size of its data.
    """
    with _reading(path) as archive:
        return {
            info.filename.removesuffix(_SUFFIX): _read_header(archive, info, path=path)
            for info in archive.infolist()
            if info.filename.endswith(_SUFFIX)
        }


def read_labels(
    path: Path, name: str, *, images: int, lowest: int, highest: int
) -> npt.NDArray[np.int64]:
    """Labels (N,), as they are in the file.

    Raises:
        DataError: if they are not `images` integers in lowest…highest.
    """
    header = read_headers(path)[name]
    if header.shape != (images,) or header.dtype.kind not in "iu":
        raise DataError(
            f"{name} should be {images} integers, one per image; it is {header}",
            where=str(path),
            remedy="store the class of each image as a number",
        )
    labels_N = np.empty(images, np.int64)
    first, wrong, example = 0, 0, (0, 0)
    for block in read_blocks(path, name):
        outside = np.flatnonzero((block < lowest) | (block > highest))
        if len(outside) and not wrong:
            example = int(block[outside[0]]), first + int(outside[0])
        wrong += len(outside)
        labels_N[first : first + len(block)] = block
        first += len(block)
    if wrong:
        raise DataError(
            f"a label is {example[0]}, outside {lowest}…{highest}, and so are {wrong - 1} others",
            where=f"{path}, {name}, row {example[1]}",
            remedy=f"number the classes from {lowest} without gaps",
        )
    return labels_N


def read_blocks(path: Path, name: str) -> Iterator[npt.NDArray[Any]]:
    """Consecutive rows of one array, a block at a time.

    Raises:
        DataError: if the array is damaged or too large; the checksum is verified at its end.
    """
    with _reading(path) as archive:
        info = archive.getinfo(name + _SUFFIX)
        header = _read_header(archive, info, path=path)
        refuse_oversized(header, path=path, name=name)
        by_columns = header.fortran_order and len(header.shape) > 1
        rows_per_block = max(1, _BLOCK_BYTES // max(1, header.row_bytes))
        with archive.open(info) as member:
            fill(bytearray(header.offset), member)
            for first in range(
                0, header.shape[0], header.shape[0] if by_columns else rows_per_block
            ):
                rows = (
                    header.shape[0] if by_columns else min(rows_per_block, header.shape[0] - first)
                )
                data = bytearray(rows * header.row_bytes)
                fill(data, member)
                yield np.frombuffer(data, header.dtype).reshape(
                    rows, *header.shape[1:], order="F" if by_columns else "C"
                )
            if member.read(1):  # never, but zipfile verifies the checksum at the end alone
                raise ValueError(f"{name} has more bytes than its header declares")


def refuse_oversized(header: ArrayHeader, *, path: Path, name: str) -> None:
    """Refuse an array that would not fit into memory as it is read.

    Raises:
        DataError: if it has too many rows, too large ones, or must be read as a whole.
    """
    rows = header.shape[0] if header.shape else 0
    if rows > MOST_ROWS:
        what, remedy = f"{rows:,} rows, more than {MOST_ROWS:,}", "divide it between several files"
    elif header.row_bytes > LARGEST_ROW_BYTES:
        what = f"rows of {header.row_bytes:,} bytes, more than {LARGEST_ROW_BYTES:,}"
        remedy = "reduce the images before they are saved"
    elif header.fortran_order and len(header.shape) > 1 and header.bytes > _LARGEST_BY_COLUMNS:
        what = f"{header.bytes:,} bytes in Fortran order, which are read as a whole"
        remedy = "save numpy.ascontiguousarray(…) of it"
    else:
        return
    raise DataError(f"{name} of {path.name} has {what}", where=str(path), remedy=remedy)


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, path: Path) -> ArrayHeader:
    refuse_impossible(info, archive_bytes=path.stat().st_size)
    with archive.open(info) as member:
        # A part of a header of any length, which would be read into memory as a whole.
        start = io.BytesIO(member.read(_LARGEST_HEADER_BYTES))
    version = np.lib.format.read_magic(start)
    if version not in _HEADER_READERS:
        raise ValueError(f"version {version} of the .npy format is not supported")
    shape, fortran_order, dtype = _HEADER_READERS[version](start)
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects")
    if any(length < 0 for length in shape):
        raise ValueError(f"{info.filename} is declared with a negative number of rows: {shape}")
    header = ArrayHeader(shape=shape, dtype=dtype, fortran_order=fortran_order, offset=start.tell())
    if header.offset + header.bytes != info.file_size:
        raise ValueError(
            f"{info.filename} is declared as {header}, but has "
            f"{info.file_size - header.offset:,} bytes of data"
        )
    return header
