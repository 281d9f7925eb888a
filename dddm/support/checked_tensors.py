"""Tensors in a safetensors file with a checksum, which detects changed bytes.

safetensors itself detects only a truncated file.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dddm.support.files import atomic_write

_CHECKSUM: Final = "crc32"


def save_checked(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write contiguous CPU tensors, completely or not at all.

    Raises:
        EnvironmentProblem: without space or permission.
    """
    metadata = {_CHECKSUM: str(_checksum(tensors))}
    atomic_write(path, lambda aside: save_file(dict(tensors), aside, metadata=metadata))


def load_checked(path: Path) -> dict[str, Tensor] | None:
    """Read what `save_checked` wrote; None if the file is absent or damaged."""
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is not a mapping
            known = stored.metadata()[_CHECKSUM]
    except (SafetensorError, KeyError, TypeError, OSError):
        return None
    return tensors if str(_checksum(tensors)) == known else None


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    total = 0
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.contiguous().numpy().data, total)
    return total
