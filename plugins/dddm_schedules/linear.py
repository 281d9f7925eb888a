"""The paper's schedule: β = linspace(b0/T, b1/T, T) (§2; at T = 1000 that of DDPM)."""

import torch
from torch import Tensor

from dddm_schedules.options import LinearOptions
from dddm_schedules.variance_preserving import VariancePreserving, log_alpha_bar


def linear_beta(*, timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """β_1…β_T, (T,), float64."""
    return torch.linspace(
        beta_start / timesteps, beta_end / timesteps, timesteps, dtype=torch.float64
    )


def linear(options: LinearOptions) -> VariancePreserving:
    """Make the schedule `vp`.

    Raises:
        ValueError: if a β is not below 1; `options.check_linear` tells a user so beforehand.
    """
    beta = linear_beta(
        timesteps=options.timesteps, beta_start=options.beta_start, beta_end=options.beta_end
    )
    if beta.max() >= 1:
        raise ValueError(f"a β must be below 1, but one is {beta.max():g}")
    return VariancePreserving(log_alpha_bar=log_alpha_bar(beta))
