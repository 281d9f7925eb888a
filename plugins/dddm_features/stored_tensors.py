"""Reads named tensors from files of torch without running anything that such a file contains.

torch.load refuses TorchScript archives when it reads without pickle, and torch.jit.load compiles
and may run their programs.  An archive is a zip: `data.pkl` is a pickle of the module's attributes,
which names each tensor's file in `data/`, and `code/` has the programs.  Here the pickle can create
only tables and tensors, and the programs are not read.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, final

import torch
from torch import Tensor

from dddm.errors import DataError

_DTYPES: Final = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
}
_LISTS: Final = frozenset(
    {"build_intlist", "build_tensorlist", "build_doublelist", "build_boollist"}
)


def read_state_dict(path: Path, *, expected: str) -> dict[str, Tensor]:
    """The state dict in a file that `torch.save` wrote.

    Args:
        expected: name of the right file, for messages.

    Raises:
        DataError: if it cannot be read or contains anything else.
    """
    try:
        found = torch.load(path, weights_only=True, map_location="cpu")
    # torch interprets the bytes of another format, such as safetensors, as a pickle.
    except Exception as error:
        problem = f"cannot be read by torch.load: {one_line(error)}"
        raise unusable_weights(path, problem, expected=expected) from error
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise unusable_weights(path, "are not a table of named tensors", expected=expected)
    return found


def read_torchscript(path: Path, *, expected: str) -> dict[str, Tensor]:
    """Every tensor of a TorchScript archive, by the dotted name of its attribute.

    Raises:
        DataError: if it cannot be read or contains anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (table,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            folder = table.removesuffix(".pkl")
            file = io.BytesIO(archive.read(table))
            return dict(_tensors(_Unpickler(file, archive=archive, folder=folder).load(), ""))
    # A damaged archive can raise almost anything.
    except Exception as error:
        problem = f"cannot be read as a TorchScript archive: {one_line(error)}"
        raise unusable_weights(path, problem, expected=expected) from error


def one_line(error: Exception) -> str:
    """The message of an error, at most 200 characters."""
    words: str = " ".join(str(error).split()) or type(error).__name__
    return words[:200]


def unusable_weights(path: Path, problem: str, *, expected: str) -> DataError:
    """The error for a file that is not the one that is expected."""
    return DataError(
        f"the weights {path.name} {problem}",
        where=str(path),
        remedy=f"use the file {expected}, which `dddm weights list` names",
    )


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, _Attributes):
        for key, item in value.attributes.items():
            yield from _tensors(item, f"{name}.{key}" if name else str(key))


@final
class _Attributes:
    """Replaces an object of a class that the archive defines: its attributes, no methods."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.attributes = state


@final
class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], *, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str, /) -> Any:
        """Allow only what tensors are made of; classes of the archive become `_Attributes`."""
        if module.startswith("__torch__"):
            return _Attributes
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        raise pickle.UnpicklingError(f"it refers to {module}.{name}, which weights do not need")

    def persistent_load(self, pid: Any, /) -> Tensor:
        """The flat tensor in one file of `data/`."""
        kind, dtype, key, _device, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not str(key).isalnum():
            raise pickle.UnpicklingError(f"it refers to {pid!r}, which is not a storage of numbers")
        if not count:
            return torch.empty(0, dtype=dtype)
        data = bytearray(self._archive.read(f"{self._folder}/{key}"))
        return torch.frombuffer(data, dtype=dtype, count=count)


def _rebuild_tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_more: object
) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)
