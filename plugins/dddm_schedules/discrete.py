"""Schedules whose times are the integers 1…T: `vp`, `vp-cosine` and `ve`.

Variance preserving (the paper, §2 and eq. 3):

    ᾱ_t = Π_{k ≤ t} (1 − β_k),  ᾱ_0 = 1
    x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε
    f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)

    vp           β = linspace(b0/T, b1/T, T); at T = 1000 that of DDPM
    vp-cosine    β_t = min(1 − f(t)/f(t−1), 0.999),  f(t) = cos²((t/T + s)/(1 + s) · π/2)
                 Nichol & Dhariwal 2021 (arXiv 2102.09672), eq. 17

Variance exploding (the follow-up paper, arXiv 2405.21059):

    σ_t = σ_min (σ_max/σ_min)^((t−1)/(T−1)),  σ_0 = 0
    x_t = x_0 + σ_t ε,  x_T = σ_max ε
    f_θ(x̂, x_t, t) = κ_t x_t + (1 − κ_t) F_θ(x̂, x_t, t),  κ_t = σ_min/σ_t

κ_1 = 1: at the smallest noise the estimate is x_t itself, whatever the network's output.  The
network sees x_t / √(σ_t² + σ_data²), the c_in of EDM (arXiv 2206.00364, table 1), because x_t
itself grows as large as σ_max.

Coefficients are float64.
"""

import math
from abc import ABC, abstractmethod
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_schedules.options import VeOptions, VpCosineOptions, VpOptions

_NETWORK_TIMES: Final = 1000.0
_LARGEST_BETA: Final = 0.999


@final
class DeviceTable:
    """A 1-D table with one copy per device.

    A lookup on the CPU would make an accelerator wait for its indices at every step.
    """

    def __init__(self, entries: Tensor) -> None:
        self._copies: dict[torch.device, Tensor] = {entries.device: entries}

    def at(self, index: Tensor) -> Tensor:
        """The entries at `index`, in its shape and on its device.

        Raises:
            TypeError: if `index` does not hold integers; 3.7 must not silently become 3.
        """
        if index.is_floating_point():
            raise TypeError(f"this schedule has integer times, but these are {index.dtype}")
        copy = self._copies.get(index.device)
        if copy is None:
            copy = self._copies[index.device] = next(iter(self._copies.values())).to(index.device)
        return copy[index]


class Discrete(Schedule, ABC):
    """Uniform draws from, and even grids over, the times 1…T."""

    def __init__(self, timesteps: int) -> None:
        self._timesteps: Final = timesteps

    @property
    def last_time(self) -> int:
        return self._timesteps

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(
            1, self._timesteps + 1, (count,), generator=generator, device=generator.device
        )

    @abstractmethod
    def noise(self, t: Tensor) -> Tensor:
        """s(t), float64; t are integers 0…T."""

    def grid(self, *, steps: int) -> Tensor:
        """⌈T (s−i)/s⌉ for i = 0…s−1, (s,), int64, CPU.

        Raises:
            ValueError: if `steps` is not in 1…T.
        """
        last = self._timesteps
        if not 1 <= steps <= last:
            raise ValueError(f"{steps} steps were asked for, but this schedule has times 1…{last}")
        return last - torch.arange(steps) * last // steps

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t/T, float32: one embedding of time serves every T."""
        return (t.to(torch.float64) * (_NETWORK_TIMES / self._timesteps)).to(torch.float32)


def log_alpha_bar(beta: Tensor) -> Tensor:
    """The table log ᾱ_0…log ᾱ_T, (T+1,), from β_1…β_T, (T,), both float64: Σ log1p(−β_k)."""
    return torch.cat([beta.new_zeros(1), torch.log1p(-beta).cumsum(0)])


@final
class VariancePreserving(Discrete):
    """A variance preserving schedule.

    Args:
        log_alpha_bar: log ᾱ_0…log ᾱ_T, (T+1,), float64, CPU, strictly falling from 0.
    """

    def __init__(self, *, log_alpha_bar: Tensor) -> None:
        super().__init__(len(log_alpha_bar) - 1)
        self._signal = DeviceTable(torch.exp(log_alpha_bar / 2))
        # As 1 − ᾱ_t, most digits would cancel where ᾱ_t is close to 1.
        self._noise = DeviceTable(torch.sqrt(-torch.expm1(log_alpha_bar)))

    def signal(self, t: Tensor) -> Tensor:
        """√ᾱ_t."""
        return self._signal.at(t)

    def noise(self, t: Tensor) -> Tensor:
        """√(1−ᾱ_t)."""
        return self._noise.at(t)

    def prior(self, *, noise: Tensor) -> Tensor:
        return noise  # next to nothing is left of x_0 at T

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """Eq. 3: x_t − F."""
        del t
        return x_t - raw

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        del t
        return x_t  # its variance is about 1 at all times


def vp_beta(options: VpOptions) -> Tensor:
    """β_1…β_T, (T,), float64."""
    last = options.timesteps
    return torch.linspace(
        options.beta_start / last, options.beta_end / last, last, dtype=torch.float64
    )


def vp(options: VpOptions) -> VariancePreserving:
    """Make the schedule `vp`.

    Raises:
        ValueError: if a β is not below 1; `options.check_vp` reports it to users earlier.
    """
    beta = vp_beta(options)
    if beta.max() >= 1:
        raise ValueError(f"every β must be below 1, but one is {beta.max():g}")
    return VariancePreserving(log_alpha_bar=log_alpha_bar(beta))


def vp_cosine_beta(options: VpCosineOptions) -> Tensor:
    """β_1…β_T, (T,), float64."""
    fraction = torch.arange(options.timesteps + 1, dtype=torch.float64) / options.timesteps
    f = torch.cos((fraction + options.offset) / (1 + options.offset) * (math.pi / 2)).square()
    return (1 - f[1:] / f[:-1]).clamp(max=_LARGEST_BETA)


def vp_cosine(options: VpCosineOptions) -> VariancePreserving:
    """Make the schedule `vp-cosine`."""
    return VariancePreserving(log_alpha_bar=log_alpha_bar(vp_cosine_beta(options)))


@final
class VarianceExploding(Discrete):
    """The schedule `ve`.

    Raises:
        ValueError: if σ does not rise; `options.check_sigma` reports it to users earlier.
    """

    def __init__(self, options: VeOptions) -> None:
        super().__init__(options.timesteps)
        if options.sigma_min >= options.sigma_max:
            raise ValueError(f"σ must rise, but {options.sigma_min:g} ≥ {options.sigma_max:g}")
        fraction = torch.arange(options.timesteps, dtype=torch.float64) / (options.timesteps - 1)
        sigma = options.sigma_min * torch.pow(options.sigma_max / options.sigma_min, fraction)
        with_zero = torch.cat([sigma.new_zeros(1), sigma])
        self._sigma_max = options.sigma_max
        self._sigma = DeviceTable(with_zero)
        # Divide tensor by tensor: torch computes number / tensor as a product with reciprocals,
        # which may leave κ_1 one bit below 1.
        self._kappa = DeviceTable(sigma[:1] / with_zero.clamp_min(options.sigma_min))
        self._input_scale = DeviceTable(
            torch.rsqrt(with_zero.square() + options.sigma_data * options.sigma_data)
        )

    def signal(self, t: Tensor) -> Tensor:
        return torch.ones_like(self.noise(t))

    def noise(self, t: Tensor) -> Tensor:
        """σ_t."""
        return self._sigma.at(t)

    def kappa(self, t: Tensor) -> Tensor:
        """κ_t in (0, 1], float64; κ_0 = 1."""
        return self._kappa.at(t)

    def prior(self, *, noise: Tensor) -> Tensor:
        return self._sigma_max * noise  # x_0 is negligible beside it

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """κ_t x_t + (1 − κ_t) F."""
        kappa_B = self.kappa(t)
        kappa_B111 = expand_B111(kappa_B).to(x_t.dtype)
        rest_B111 = expand_B111(1 - kappa_B).to(x_t.dtype)
        return kappa_B111 * x_t + rest_B111 * raw

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t / √(σ_t² + σ_data²)."""
        return expand_B111(self._input_scale.at(t)).to(x_t.dtype) * x_t
