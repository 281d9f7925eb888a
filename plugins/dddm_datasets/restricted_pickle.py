"""Reads pickles that hold plain values and numpy arrays, and refuses all others.

A pickle can run any code when it is read.  Here the few functions that rebuild an array are
allowed by name, and anything else that a pickle asks for is an error before it is called.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any, Final, final

import numpy as np

from dddm.errors import DataError

_REBUILD: Final[Callable[..., Any]] = np.empty(0).__reduce__()[0]  # type: ignore[assignment]  # declared as str | tuple
"""numpy's own function; its module has been renamed since such pickles were written."""


def _encode(text: str, encoding: str) -> bytes:
    """What a pickle of protocol 2 stores bytes as; of `_codecs.encode`, the one use it makes."""
    if encoding != "latin1":
        raise ValueError(encoding)
    return text.encode("latin1")


_ALLOWED: Final[dict[tuple[str, str], Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
}


@final
class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


@final
class _RefusedError(Exception):
    """A pickle asks for something that is not allowed; the message is its name."""


def load_restricted(data: bytes, *, where: str) -> Any:
    """The value of a pickle, with Python 2's strings read as Latin-1.

    Raises:
        DataError: if it is no pickle, or asks for anything but plain values and arrays.
    """
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except _RefusedError as error:
        raise DataError(
            f"this pickle asks to run {error}, which no file of images needs; nothing was run",
            where=where,
            remedy="take the file from its publisher",
        ) from None
    except Exception as error:
        raise DataError(
            f"this pickle cannot be read: {error!r}",
            where=where,
            remedy="take the file from its publisher",
        ) from error
