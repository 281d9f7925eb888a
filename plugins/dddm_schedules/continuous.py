"""The variance preserving forward process in continuous time, which the paper leaves to the future.

    β(t) = b0 + (b1 − b0) t,  t real in [0, T], T = 1
    log ᾱ(t) = −∫_0^t β = −(b0 t + (b1 − b0) t²/2)
    x_t = √ᾱ(t) x_0 + √(1−ᾱ(t)) ε
    f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)

It is the limit of `vp` for many timesteps, and the VP-SDE of Song et al. (2021, arXiv 2011.13456,
eq. 32 and 33).  Nothing here divides by s(t), so times may come as close to 0 as float64 allows.

Legend: B images of C channels, H rows, W columns.  Coefficients are float64.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule
from dddm_schedules import real_times
from dddm_schedules.options import ContinuousOptions


@final
class Continuous(Schedule):
    """The schedule `vp-continuous`."""

    def __init__(self, options: ContinuousOptions) -> None:
        self._beta_start = options.beta_start
        self._beta_end = options.beta_end

    @property
    def last_time(self) -> float:
        """T = 1."""
        return 1.0

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """U(0, 1], (count,), float64, on the generator's device."""
        return real_times.uniform(count=count, generator=generator)

    def log_alpha_bar(self, t: Tensor) -> Tensor:
        """The logarithm of ᾱ(t), float64.

        Raises:
            TypeError: if `t` holds integers.
        """
        t = real_times.as_real(t)
        rise = self._beta_end - self._beta_start
        return -(self._beta_start * t + rise / 2 * t.square())

    def signal(self, t: Tensor) -> Tensor:
        """√ᾱ(t), float64; t are real numbers in [0, 1]."""
        return torch.exp(self.log_alpha_bar(t) / 2)

    def noise(self, t: Tensor) -> Tensor:
        """√(1−ᾱ(t)), float64; t are real numbers in [0, 1]."""
        return torch.sqrt(-torch.expm1(self.log_alpha_bar(t)))

    def prior(self, *, noise: Tensor) -> Tensor:
        """The noise itself: of x_0 next to nothing is left at T."""
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """Eq. 3: x_t − F, (B, C, H, W)."""
        del t  # eq. 3 is the same at all times
        return x_t - raw

    def grid(self, *, steps: int) -> Tensor:
        """Evenly from 1 down, (s,), float64, CPU; see `even_grid`.

        Raises:
            ValueError: if `steps` is below 1; there is no largest number.
        """
        return real_times.even_grid(steps=steps)

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t, float32, as of a discrete schedule at the same fraction of T."""
        return real_times.network_time(t)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t unchanged: its variance is about 1 at all times."""
        del t
        return x_t
