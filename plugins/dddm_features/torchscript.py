"""Reads the tensors of a TorchScript archive without running its programs.

torch.load with weights_only refuses such archives, and torch.jit.load may run their programs.  An
archive is a zip: `data.pkl` is a pickle of the module's attributes, which names each tensor's file
in `data/`; `code/` has the programs.  Here the pickle can create only tables and tensors, and the
programs are not read.
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

from dddm.support.state_dict import one_line, unusable_weights

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


def read_torchscript(path: Path, *, remedy: str) -> dict[str, Tensor]:
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
        raise unusable_weights(path, problem, remedy=remedy) from error


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, _Attributes):
        for key, item in value.attributes.items():
            yield from _tensors(item, f"{name}.{key}" if name else str(key))


@final
class _Attributes:
    """Stands for an object of a class that the archive defines: attributes without methods."""

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
        """The flat tensor in a file of `data/`."""
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
