"""The exponential moving average of the weights, from which samples are drawn (§5.1).

    θ_ema ← θ_ema + (1 − μ_k) (θ − θ_ema),    μ_k = μ,  or  min(μ, (1+k)/(10+k)) with warm-up

where k counts the updates from 0.
"""

import copy
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.backbone import Backbone


def decay_at(*, update: int, decay: float, warmup: bool) -> float:
    """μ_k at update k."""
    return min(decay, (1 + update) / (10 + update)) if warmup else decay


@final
class MovingAverage:
    """A copy of a backbone that follows it; `backbone` is in eval mode and needs no gradient."""

    def __init__(self, backbone: Backbone, *, decay: float, warmup: bool) -> None:
        self.backbone = copy.deepcopy(backbone).requires_grad_(requires_grad=False).eval()
        self._decay = decay
        self._warmup = warmup

    @torch.no_grad()
    def update(self, backbone: Backbone, *, update: int) -> None:
        """Move towards `backbone`; `update` is k.  Buffers are copied as they are."""
        weight = 1.0 - decay_at(update=update, decay=self._decay, warmup=self._warmup)
        averaged: list[Tensor] = list(self.backbone.parameters())
        current: list[Tensor] = list(backbone.parameters())
        torch._foreach_lerp_(averaged, current, weight)  # what torch's own swa_utils calls
        for kept, given in zip(self.backbone.buffers(), backbone.buffers(), strict=True):
            kept.copy_(given)
