"""The derivative of a network along a direction, in one pass (forward mode).

    jvp(f, x, v) = (f(x), d/dh f(x + h v) at h = 0)

torch's fused kernels of attention have no forward-mode derivative, and `torch.func.jvp` fails in
them, so attention is computed by its plain products here.

Gradient checkpointing cannot work: what the backward pass computes again knows nothing of the
direction, and torch finds out only there.  It is refused before anything is computed.  Nor does
torch derive a group norm whose input has its channels last in memory.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Final

import torch
from torch import Tensor
from torch.autograd.graph import disable_saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel

from dddm.errors import UsageError

_LAYOUT: Final = "view size is not compatible"
_RECOMPUTED: Final = "parts of the network are computed again in the backward pass"


def jvp(
    function: Callable[..., Tensor], primals: tuple[Tensor, ...], tangents: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """`function(*primals)`, and its derivative along `tangents`.

    Both carry the gradient to the parameters that `function` computes with; an objective that
    stops the gradient of the derivative, as MeanFlow does, detaches it.

    Args:
        function: of as many tensors as there are primals.
        primals: where the derivative is taken, floating point.
        tangents: the direction, each of the shape and dtype of its primal.

    Raises:
        UsageError: if the network is checkpointed, has its channels last, or has an operation
            without a forward-mode derivative.
    """
    _load_rules()
    try:
        with sdpa_kernel(SDPBackend.MATH), disable_saved_tensors_hooks(_RECOMPUTED):
            found = torch.func.jvp(function, primals, tangents)
    except RuntimeError as error:  # NotImplementedError is one
        said = str(error)
        if _RECOMPUTED in said:
            raise UsageError(
                f"no forward-mode derivative can be taken: {_RECOMPUTED}",
                where="backbone",
                remedy="write checkpointing = false",
            ) from error
        if _LAYOUT in said:
            raise UsageError(
                "torch has no forward-mode derivative of group norm with the channels last",
                where="backbone",
                remedy="write channels_last = false",
            ) from error
        if "forward" in said and "AD" in said:
            raise UsageError(
                f"the network has no forward-mode derivative: {said.splitlines()[0][:200]}",
                where="backbone",
                remedy="use layers of which torch.func.jvp knows the derivative",
            ) from error
        raise
    return found[0], found[1]


@cache
def _load_rules() -> None:
    """Let torch load its derivatives, while it warns of how it does so itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.zeros(1),))
