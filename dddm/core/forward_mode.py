"""Jacobian-vector products of a network by forward-mode differentiation.

    jvp(f, x, v) = (f(x), d/dh f(x + h v) at h = 0)

torch's fused attention kernels have no forward-mode derivative, so attention uses the math backend
here.

Gradient checkpointing is refused: the recomputation in the backward pass knows nothing of the
tangents, and torch would fail only there.  Group norm with channels-last inputs has no forward-mode
derivative either.
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

    Both are differentiable with respect to the parameters of `function`; an objective that stops
    the gradient of the derivative, as MeanFlow does, detaches it.

    Args:
        function: takes as many tensors as there are primals.
        primals: floating point tensors at which to differentiate.
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
                remedy="use layers that torch.func.jvp supports",
            ) from error
        raise
    return found[0], found[1]


@cache
def _load_rules() -> None:
    """Have torch load its derivative rules now, and hide the deprecation warnings it causes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.zeros(1),))
