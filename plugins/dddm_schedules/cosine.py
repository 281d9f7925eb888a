"""The cosine schedule of Nichol & Dhariwal (2021, arXiv 2102.09672), eq. 17.

f(t) = cos²((t/T + s)/(1 + s) · π/2),  β_t = min(1 − f(t)/f(t−1), 0.999)
"""

import math
from typing import Final

import torch
from torch import Tensor

from dddm_schedules.options import CosineOptions
from dddm_schedules.variance_preserving import VariancePreserving, log_alpha_bar

_LARGEST_BETA: Final = 0.999


def cosine_beta(*, timesteps: int, offset: float) -> Tensor:
    """β_1…β_T, (T,), float64."""
    fraction = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = torch.cos((fraction + offset) / (1 + offset) * (math.pi / 2)).square()
    return (1 - f[1:] / f[:-1]).clamp(max=_LARGEST_BETA)


def cosine(options: CosineOptions) -> VariancePreserving:
    """Make the schedule `vp-cosine`."""
    beta = cosine_beta(timesteps=options.timesteps, offset=options.offset)
    return VariancePreserving(log_alpha_bar=log_alpha_bar(beta))
