"""Arrays of an .npz file, in blocks of rows, so that no array needs to fit into memory.

Imports no torch.  Nothing is unpickled: an array of Python objects is refused.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.errors import DataError

_BLOCK_BYTES: Final = 1 << 23
_SUFFIX: Final = ".npy"
_HEADER_READERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@final
@frozen(kw_only=True)
class ArrayHeader:
    """What an array's header declares."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


@contextmanager
def _reading(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the archive; name it in the error for whatever goes wrong with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DataError:
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
        found = {}
        for info in archive.infolist():
            if info.filename.endswith(_SUFFIX):
                with archive.open(info) as member:
                    header = _read_header(member)
                    data_bytes = header.dtype.itemsize * math.prod(header.shape)
                    # Memory is allocated by the header, so it must not promise more than there is.
                    if member.tell() + data_bytes != info.file_size:
                        raise ValueError(
                            f"{info.filename} is declared as {header}, but has "
                            f"{info.file_size - member.tell():,} bytes of data"
                        )
                found[info.filename.removesuffix(_SUFFIX)] = header
        return found


def read_array(path: Path, name: str) -> npt.NDArray[Any]:
    """One whole array, such as the labels.

    Raises:
        DataError: if it cannot be read.
    """
    with _reading(path) as archive, archive.open(name + _SUFFIX) as member:
        array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        return array


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
    labels = read_array(path, name)
    wrong = np.flatnonzero((labels < lowest) | (labels > highest))
    if len(wrong):
        raise DataError(
            f"a label is {labels[wrong[0]]}, outside {lowest}…{highest}, and so are "
            f"{len(wrong) - 1} others",
            where=f"{path}, {name}, row {wrong[0]}",
            remedy=f"number the classes from {lowest} without gaps",
        )
    return labels.astype(np.int64)


def read_blocks(path: Path, name: str) -> Iterator[npt.NDArray[Any]]:
    """Consecutive rows of one array, a block at a time.

    Raises:
        DataError: if the array is damaged; the checksum is verified at its end.
    """
    with _reading(path) as archive, archive.open(name + _SUFFIX) as member:
        header = _read_header(member)
        if header.fortran_order:
            yield read_array(path, name)
            return
        row_bytes = header.dtype.itemsize * math.prod(header.shape[1:])
        rows_per_block = max(1, _BLOCK_BYTES // max(1, row_bytes))
        for first in range(0, header.shape[0], rows_per_block):
            rows = min(rows_per_block, header.shape[0] - first)
            data = member.read(rows * row_bytes)
            if len(data) < rows * row_bytes:
                raise ValueError(f"{name} ends too early")
            yield np.frombuffer(data, header.dtype).reshape(rows, *header.shape[1:])
        if member.read(1):
            raise ValueError(f"{name} has more bytes than its header declares")


def _read_header(member: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(member)
    if version not in _HEADER_READERS:
        raise ValueError(f"version {version} of the .npy format is not supported")
    shape, fortran_order, dtype = _HEADER_READERS[version](member)
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects")
    return ArrayHeader(shape=shape, dtype=dtype, fortran_order=fortran_order)
