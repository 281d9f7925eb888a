"""Reads state dicts of other programs without running anything that their files contain."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dddm.errors import DataError


def read_state_dict(path: Path, *, remedy: str) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save`, also in a checkpoint's key `state_dict`.

    Raises:
        DataError: if it cannot be read or contains anything else.
    """
    try:
        found = torch.load(path, weights_only=True, map_location="cpu")
    # torch interprets the bytes of another format, such as safetensors, as a pickle.
    except Exception as error:
        problem = f"cannot be read by torch.load: {one_line(error)}"
        raise unusable_weights(path, problem, remedy=remedy) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise unusable_weights(path, "are not a table of named tensors", remedy=remedy)
    return state


def first_mismatch(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, dtypes: bool
) -> str | None:
    """The first name, shape or, with `dtypes`, type that differs; None if there is none."""
    for name, like in expected.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].shape != like.shape:
            return f"{name} has the shape {tuple(found[name].shape)}, not {tuple(like.shape)}"
        if dtypes and found[name].dtype != like.dtype:
            return f"{name} is {found[name].dtype}, not {like.dtype}"
    surplus = next((name for name in found if name not in expected), None)
    return None if surplus is None else f"{surplus} is unexpected"


def one_line(error: Exception) -> str:
    """The message of an error, at most 200 characters."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words[:200]


def unusable_weights(path: Path, problem: str, *, remedy: str) -> DataError:
    """The error for a file of weights that is not the expected one."""
    return DataError(f"the weights {path.name} {problem}", where=str(path), remedy=remedy)
