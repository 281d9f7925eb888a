"""Tensors of which each process has a part, as FSDP2 leaves them, and whole ones."""

import sys

from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a sharded tensor, in every process, which all ask for it; any other as it is."""
    found: Tensor = tensor.full_tensor() if _is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return found


def whole_in_first(tensor: Tensor) -> Tensor:
    """All of a sharded tensor, in the first process's main memory; any other as it is.

    All processes ask for it; the others get its shape alone, so that none has a network whole.
    """
    if not _is_sharded(tensor):
        return tensor
    import torch.distributed as dist

    return whole(tensor).to("cpu" if dist.get_rank() == 0 else "meta")


def part_of(tensor: Tensor, *, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, if `like` is sharded; else the tensor."""
    if not _is_sharded(like) or _is_sharded(tensor):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def _is_sharded(tensor: Tensor) -> bool:
    # Its import takes a second, and nothing is sharded before it.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
