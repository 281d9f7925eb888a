"""The variance exploding forward process, after the follow-up paper (arXiv 2405.21059).

    σ_t = σ_min (σ_max/σ_min)^((t−1)/(T−1)),  t = 1…T,  σ_0 = 0
    x_t = x_0 + σ_t ε,  x_T = σ_max ε
    f_θ(x̂, x_t, t) = κ_t x_t + (1 − κ_t) F_θ(x̂, x_t, t),  κ_t = σ_min/σ_t

κ_1 = 1: at the smallest noise the estimate is x_t itself, whatever the network says.

The network sees x_t / √(σ_t² + σ_data²), the c_in of EDM (Karras et al. 2022, arXiv 2206.00364,
table 1), because x_t itself grows as large as σ_max.  Its time, 1000 t/T, is an affine function
of ln σ_t, as EDM's is.

Legend: B images of C channels, H rows, W columns.  Coefficients are float64.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_schedules.device_table import DeviceTable
from dddm_schedules.discrete_times import DiscreteTimes
from dddm_schedules.options import VeOptions


def geometric_sigma(*, timesteps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """σ_1…σ_T, (T,), float64: σ_min and σ_max at the ends, with one ratio between neighbours."""
    fraction = torch.arange(timesteps, dtype=torch.float64) / (timesteps - 1)
    return sigma_min * torch.pow(sigma_max / sigma_min, fraction)


@final
class VarianceExploding(Schedule):
    """The schedule `ve`.

    Raises:
        ValueError: if σ does not rise; `options.check_sigma` tells a user so beforehand.
    """

    def __init__(self, options: VeOptions) -> None:
        if options.sigma_min >= options.sigma_max:
            raise ValueError(f"σ must rise, but {options.sigma_min:g} ≥ {options.sigma_max:g}")
        sigma = geometric_sigma(
            timesteps=options.timesteps, sigma_min=options.sigma_min, sigma_max=options.sigma_max
        )
        with_zero = torch.cat([sigma.new_zeros(1), sigma])
        self._times = DiscreteTimes(options.timesteps)
        self._sigma_max = options.sigma_max
        self._sigma = DeviceTable(with_zero)
        # A true division of tensors: a number over a tensor is a product with reciprocals, which
        # may leave κ_1 one bit below 1.
        self._kappa = DeviceTable(sigma[:1] / with_zero.clamp_min(options.sigma_min))
        self._input_scale = DeviceTable(
            torch.rsqrt(with_zero.square() + options.sigma_data * options.sigma_data)
        )

    @property
    def last_time(self) -> int:
        """T."""
        return self._times.last

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """U{1…T}, (count,), int64, on the generator's device."""
        return self._times.draw(count=count, generator=generator)

    def signal(self, t: Tensor) -> Tensor:
        """1 at all times, float64."""
        return torch.ones_like(self.noise(t))

    def noise(self, t: Tensor) -> Tensor:
        """σ_t, float64; t are integers 0…T."""
        return self._sigma.at(t)

    def kappa(self, t: Tensor) -> Tensor:
        """κ_t = σ_min/σ_t, float64, in (0, 1]; t are integers 0…T, and 1 where σ_t < σ_min."""
        return self._kappa.at(t)

    def prior(self, *, noise: Tensor) -> Tensor:
        """σ_max ε: beside it x_0 is too small to be seen."""
        return self._sigma_max * noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """κ_t x_t + (1 − κ_t) F, (B, C, H, W)."""
        kappa_B = self.kappa(t)
        kappa_B111 = expand_B111(kappa_B).to(x_t.dtype)
        rest_B111 = expand_B111(1 - kappa_B).to(x_t.dtype)
        return kappa_B111 * x_t + rest_B111 * raw

    def grid(self, *, steps: int) -> Tensor:
        """`steps` times, evenly in ln σ from T down, int64, CPU; see `DiscreteTimes.grid`.

        Raises:
            ValueError: if `steps` is not in 1…T.
        """
        return self._times.grid(steps=steps)

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t/T, float32."""
        return self._times.network_time(t)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t / √(σ_t² + σ_data²): its variance is about 1 at all times."""
        return expand_B111(self._input_scale.at(t)).to(x_t.dtype) * x_t
