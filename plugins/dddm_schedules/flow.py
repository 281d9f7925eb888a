"""The linear path of rectified flow (Liu et al. 2022, arXiv 2209.03003; Lipman et al. 2022).

    x_t = (1 − t) x_0 + t ε,  t real in (0, T], T = 1
    F predicts the velocity ε − x_0, so that D = x_t − t F

Training times are uniform, or logit-normal (Esser et al. 2024, arXiv 2403.03206, eq. 19):

    t = 1 / (1 + exp(−u)),  u ~ N(mean, std²)

Legend: B images of C channels, H rows, W columns.  Coefficients are float64.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_schedules import real_times
from dddm_schedules.options import FlowOptions


@final
class Flow(Schedule):
    """The schedule `linear`."""

    def __init__(self, options: FlowOptions) -> None:
        self._options = options

    @property
    def last_time(self) -> float:
        """T = 1."""
        return 1.0

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """Uniform or logit-normal in (0, 1], (count,), float64, on the generator's device."""
        if self._options.times == "uniform":
            return real_times.uniform(count=count, generator=generator)
        normal = torch.randn(
            count, generator=generator, device=generator.device, dtype=torch.float64
        )
        return torch.sigmoid(self._options.mean + self._options.std * normal)

    def signal(self, t: Tensor) -> Tensor:
        """1 − t, float64; t are real numbers in [0, 1]."""
        return 1 - real_times.as_real(t)

    def noise(self, t: Tensor) -> Tensor:
        """t, float64; t are real numbers in [0, 1]."""
        return real_times.as_real(t).clone()

    def prior(self, *, noise: Tensor) -> Tensor:
        """The noise itself: of x_0 nothing is left at T."""
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """x_t − t F, (B, C, H, W)."""
        return x_t - expand_B111(self.noise(t)).to(x_t.dtype) * raw

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
        """x_t unchanged: its variance is at most 1, and never far below that of the images."""
        del t
        return x_t
