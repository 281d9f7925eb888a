"""The variance preserving forward process with discrete times 1…T (the paper, §2 and eq. 3).

    ᾱ_t = Π_{k ≤ t} (1 − β_k),  ᾱ_0 = 1
    x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε
    f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)

ᾱ is kept as its logarithm: √(1−ᾱ_t) = √(−expm1(log ᾱ_t)) then loses nothing where ᾱ_t is close
to 1, which is where most of the digits of 1 − ᾱ_t would cancel.

Legend: B images of C channels, H rows, W columns.  Coefficients are float64.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule
from dddm_schedules.device_table import DeviceTable
from dddm_schedules.discrete_times import DiscreteTimes


def log_alpha_bar(beta: Tensor) -> Tensor:
    """The table log ᾱ_0…log ᾱ_T, (T+1,), from β_1…β_T, (T,), both float64: Σ log1p(−β_k)."""
    return torch.cat([beta.new_zeros(1), torch.log1p(-beta).cumsum(0)])


@final
class VariancePreserving(Schedule):
    """Every variance preserving schedule: what differs between them is the table of ᾱ."""

    def __init__(self, *, log_alpha_bar: Tensor) -> None:
        """Take log ᾱ_0…log ᾱ_T, (T+1,), float64, CPU, strictly falling from 0."""
        self._times = DiscreteTimes(len(log_alpha_bar) - 1)
        self._signal = DeviceTable(torch.exp(log_alpha_bar / 2))
        self._noise = DeviceTable(torch.sqrt(-torch.expm1(log_alpha_bar)))

    @property
    def last_time(self) -> int:
        """T."""
        return self._times.last

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """U{1…T}, (count,), int64, on the generator's device."""
        return self._times.draw(count=count, generator=generator)

    def signal(self, t: Tensor) -> Tensor:
        """√ᾱ_t, float64; t are integers 0…T."""
        return self._signal.at(t)

    def noise(self, t: Tensor) -> Tensor:
        """√(1−ᾱ_t), float64; t are integers 0…T."""
        return self._noise.at(t)

    def prior(self, *, noise: Tensor) -> Tensor:
        """The noise itself: of x_0 next to nothing is left at T."""
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """Eq. 3: x_t − F, (B, C, H, W)."""
        del t  # eq. 3 is the same at all times
        return x_t - raw

    def grid(self, *, steps: int) -> Tensor:
        """`steps` times, evenly from T down, int64, CPU; see `DiscreteTimes.grid`.

        Raises:
            ValueError: if `steps` is not in 1…T.
        """
        return self._times.grid(steps=steps)

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t/T, float32."""
        return self._times.network_time(t)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t unchanged: its variance is about 1 at all times."""
        del t
        return x_t
