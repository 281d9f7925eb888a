"""Arrays of an .npz file read in stretches of rows, so that no array need fit into memory.

Imports no torch.  Nothing is unpickled: an array of Python objects is refused.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.errors import DataError

_STRETCH_BYTES: Final = 1 << 23
_SUFFIX: Final = ".npy"
_READERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@final
@frozen(kw_only=True)
class ArrayHeader:
    """What an array's header says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what goes wrong with an archive into an error that names it.

    Raises:
        DataError: if it is damaged, encrypted, no .npz file, or holds Python objects.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # a damaged archive raises whatever its damage leads to
        raise DataError(
            f"{path.name} cannot be read: {error}",
            where=str(path),
            remedy="get the file again; arrays are read without running pickled code",
        ) from error


def headers(path: Path) -> Mapping[str, ArrayHeader]:
    """The arrays of the file by name.

    Raises:
        DataError: if it is no .npz file.
    """
    with naming(path), zipfile.ZipFile(path) as archive:
        found = {}
        for info in archive.infolist():
            if info.filename.endswith(_SUFFIX):
                with archive.open(info) as member:
                    found[info.filename.removesuffix(_SUFFIX)] = _read_header(member)
        return found


def read_whole(path: Path, name: str) -> npt.NDArray[Any]:
    """One array, such as the labels.

    Raises:
        DataError: if it cannot be read.
    """
    with naming(path), np.load(path, allow_pickle=False) as arrays:
        array: npt.NDArray[Any] = arrays[name]
        return array


def stretches(path: Path, name: str) -> Iterator[npt.NDArray[Any]]:
    """The rows of one array in their order, some at a time.

    Raises:
        DataError: if the array is damaged, which a checksum tells once all of it is read.
    """
    with naming(path), zipfile.ZipFile(path) as archive, archive.open(name + _SUFFIX) as member:
        header = _read_header(member)
        if header.fortran_order:
            yield read_whole(path, name)
            return
        row_bytes = header.dtype.itemsize * int(np.prod(header.shape[1:], dtype=np.int64))
        each = max(1, _STRETCH_BYTES // max(1, row_bytes))
        for first in range(0, header.shape[0], each):
            rows = min(each, header.shape[0] - first)
            raw = _read_exactly(member, rows * row_bytes)
            yield np.frombuffer(raw, header.dtype).reshape(rows, *header.shape[1:])
        if member.read(1):
            raise DataError(f"{name} has more bytes than its header says", where=str(path))


def _read_header(member: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(member)
    if version not in _READERS:
        raise ValueError(f"version {version} of the .npy format is not known")
    shape, fortran_order, dtype = _READERS[version](member)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which would have to be unpickled")
    return ArrayHeader(shape=shape, dtype=dtype, fortran_order=fortran_order)


def _read_exactly(member: IO[bytes], count: int) -> bytes:
    pieces = []
    while count:
        piece = member.read(count)
        if not piece:
            raise ValueError("it ends too early")
        pieces.append(piece)
        count -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
