"""Reading one tensor of a saved state, and refusing what does not fit."""

from collections.abc import Mapping

from torch import Tensor


def part_of(state: Mapping[str, Tensor], name: str, *, like: Tensor, shard: int) -> Tensor:
    """The tensor `name` of a shard's state, which has the type and shape of `like`.

    Raises:
        ValueError: if it is missing or another.
    """
    found = state.get(name)
    if found is None or found.dtype != like.dtype or found.shape != like.shape:
        has = "is missing" if found is None else f"is {_describe(found)}"
        raise ValueError(f"the store's state, shard {shard}: {name} {has}, not {_describe(like)}")
    return found


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"
