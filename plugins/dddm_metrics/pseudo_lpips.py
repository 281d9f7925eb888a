"""Pseudo-LPIPS: LPIPS is a squared distance, and this is its Pseudo-Huber (the paper, eq. 7).

    pseudo   √(L + c²) − c, computed as L / (√(L + c²) + c), which keeps its digits near 0
    sqrt     √L, and L / √f below the floor f
    plain    L

As printed, eq. 7 has −c inside the root, and is imaginary for small L.  At the paper's c = 6.9e-5,
c² = 4.8e-9 is a thousandth of the L of mere rounding to 8 bits: it is √L in practice.
"""

from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm_metrics.lpips import Lpips
from dddm_metrics.lpips_options import PseudoLpipsOptions

FLOOR = 1e-10
"""Of the form sqrt: L below which it is straight, so that its slope is at most 1e5."""


@final
class PseudoLpips(Metric):
    """A function of LPIPS."""

    def __init__(self, options: PseudoLpipsOptions) -> None:
        self._lpips = Lpips(options)
        self._form = options.form
        self._c = options.c

    @property
    def trained_on(self) -> str:
        """As LPIPS."""
        return self._lpips.trained_on

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self._lpips.to(device)

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """The form of L(estimate, target), (B,), float32."""
        return self.distances(estimate=estimate, targets=(target,))[0]

    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One for each target, each (B,), float32; features of the estimate are computed once."""
        every = self._lpips.distances(estimate=estimate, targets=targets)
        return tuple(shaped(lpips_B, form=self._form, c=self._c) for lpips_B in every)


def shaped(lpips: Tensor, *, form: Literal["pseudo", "sqrt", "plain"], c: float) -> Tensor:
    """The chosen form of L ≥ 0, of any shape, with a finite slope everywhere."""
    if form == "plain":
        return lpips
    if form == "sqrt":
        return lpips * torch.rsqrt(lpips.clamp(min=FLOOR))
    return lpips / (torch.sqrt(lpips + c * c) + c)
