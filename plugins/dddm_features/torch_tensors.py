"""Tensors by name out of files of torch's, without running anything that such a file holds."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dddm.errors import DataError


def read_tensors(path: Path, *, known: str) -> dict[str, Tensor]:
    """The table of tensors in a file that `torch.save` wrote.

    Args:
        path: of the file.
        known: name of the right file, for messages.

    Raises:
        DataError: if it cannot be read, or holds something else.
    """
    try:
        found = torch.load(path, weights_only=True, map_location="cpu")
    # The bytes of another kind of file, say safetensors, are followed as if they were a pickle's.
    except Exception as error:
        what = f"cannot be read as a file of torch's: {in_a_line(error)}"
        raise refused(path, what, known=known) from error
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise refused(path, "are no table of tensors by name", known=known)
    return found


def in_a_line(error: Exception) -> str:
    """What an error says, in no more than 200 letters."""
    words: Any = " ".join(str(error).split()) or type(error).__name__
    return str(words)[:200]


def refused(path: Path, what: str, *, known: str) -> DataError:
    """The error for a file that is not what it should be."""
    return DataError(
        f"the weights {path.name} {what}",
        where=str(path),
        remedy=f"use the file {known}, which `dddm weights list` names",
    )
