"""The tensors of a TorchScript archive, whose code is left alone.

An archive is a zip: `data.pkl` is a pickle of the module's attributes, which names each tensor's
file in `data/`, and `code/` holds programs.  torch.load refuses such files where it reads without
pickle, and torch.jit.load would compile the programs, and run those that modules are restored by.
Here the pickle may make nothing but tables and tensors, and no program is looked at.
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


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Every tensor of the archive at `path`, by the dotted name of the attribute that holds it.

    Raises:
        Exception: of many kinds, if it is no such archive or holds something else.
    """
    with zipfile.ZipFile(path) as archive:
        (table,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        folder = table.removesuffix(".pkl")
        with archive.open(table) as file:
            module = _Reader(io.BytesIO(file.read()), archive=archive, folder=folder).load()
    return dict(_tensors(module, ""))


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, _Attributes):
        for key, item in value.held.items():
            yield from _tensors(item, f"{name}.{key}" if name else str(key))


@final
class _Attributes:
    """Stands in for an object of a class that the archive brings: its attributes, no methods."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.held = state


@final
class _Reader(pickle.Unpickler):
    """Makes tables, lists and tensors; anything else that is asked for is an error."""

    def __init__(self, file: IO[bytes], *, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str, /) -> Any:
        """Stands in for classes of the archive; knows what tensors are made of."""
        if module.startswith("__torch__"):
            return _Attributes
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no weights need")

    def persistent_load(self, pid: Any, /) -> Tensor:
        """The numbers of one file of `data/`, in a row."""
        kind, dtype, key, _device, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not str(key).isalnum():
            raise pickle.UnpicklingError(f"it asks for {pid!r}, which is no storage of numbers")
        if not count:
            return torch.empty(0, dtype=dtype)
        with self._archive.open(f"{self._folder}/{key}") as file:
            return torch.frombuffer(bytearray(file.read()), dtype=dtype, count=count)


def _tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_more: object
) -> Tensor:
    """The arguments are those of `torch._utils._rebuild_tensor_v2`."""
    return torch.as_strided(storage, size, stride, offset)
