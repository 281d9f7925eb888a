"""Schedules whose times are real numbers: `vp-continuous`, `linear` and `karras`.

`vp-continuous` is the limit of `vp` for many timesteps, the VP-SDE of Song et al. (2021, arXiv
2011.13456, eq. 32 and 33), which the paper leaves to the future:

    β(t) = b0 + (b1 − b0) t,  t in (0, 1]
    log ᾱ(t) = −∫_0^t β = −(b0 t + (b1 − b0) t²/2)
    x_t = √ᾱ(t) x_0 + √(1−ᾱ(t)) ε,  f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)

`linear` is the path of rectified flow (Liu et al. 2022, arXiv 2209.03003; Lipman et al. 2022):

    x_t = (1 − t) x_0 + t ε,  t in (0, 1]
    F predicts the velocity ε − x_0, so that D = x_t − t F
    training times are uniform, or logit-normal (Esser et al. 2024, arXiv 2403.03206, eq. 19):
    t = 1 / (1 + exp(−u)),  u ~ N(mean, std²)

`karras` is that of EDM (Karras et al. 2022, arXiv 2206.00364); its time is σ itself:

    x_t = x_0 + σ ε,  σ in (0, σ_max]
    ln σ ~ N(P_mean, P_std²) in training                                          table 1
    σ_i = (σ_max^{1/ρ} + i/(n−1) (σ_min^{1/ρ} − σ_max^{1/ρ}))^ρ,  i = 0…n−1       eq. 5
    D = c_skip x_t + c_out F(c_in x_t, ¼ ln σ)                                    eq. 7
    c_skip = σ_d²/(σ²+σ_d²),  c_out = σ σ_d/√(σ²+σ_d²),  c_in = 1/√(σ²+σ_d²)

Coefficients are float64.
"""

import math
from abc import ABC, abstractmethod
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_schedules.options import KarrasOptions, RectifiedFlowOptions, VpContinuousOptions

_NETWORK_TIMES: Final = 1000.0
_SMALLEST_SIGMA: Final = 1e-8
"""Of `karras` where ln σ is taken, which is not finite at 0; no training time is smaller."""


def as_float64(t: Tensor) -> Tensor:
    """Convert times to float64.

    Raises:
        TypeError: if `t` holds integers: step 500 of a discrete schedule is not a time of these.
    """
    if not t.is_floating_point():
        raise TypeError(f"times of this schedule are real numbers, not {t.dtype}")
    return t.to(torch.float64)


def _standard_normal(*, count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, generator=generator, device=generator.device, dtype=torch.float64)


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"{steps} steps were asked for; there must be at least 1")


class UnitInterval(Schedule, ABC):
    """Times in (0, 1] on a path that ends in N(0, I)."""

    @property
    def last_time(self) -> float:
        return 1.0

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """U(0, 1], (count,), float64."""
        # `rand` may give 0 and never gives 1; a time must not be 0.
        return 1 - torch.rand(
            count, generator=generator, device=generator.device, dtype=torch.float64
        )

    @abstractmethod
    def noise(self, t: Tensor) -> Tensor:
        """s(t), float64; t are real numbers in [0, 1]."""

    def prior(self, *, noise: Tensor) -> Tensor:
        return noise  # next to nothing is left of x_0 at T

    def grid(self, *, steps: int) -> Tensor:
        """(s−i)/s for i = 0…s−1, (s,), float64, CPU.

        Raises:
            ValueError: if `steps` is below 1; there is no largest number.
        """
        _check_steps(steps)
        return torch.arange(steps, 0, -1, dtype=torch.float64) / steps

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t, float32, as of a discrete schedule at the same fraction of T."""
        return (as_float64(t) * _NETWORK_TIMES).to(torch.float32)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        del t
        return x_t  # its variance is at most about 1, and never far below that of the images


@final
class VpContinuous(UnitInterval):
    """The schedule `vp-continuous`."""

    def __init__(self, options: VpContinuousOptions) -> None:
        self._beta_start = options.beta_start
        self._beta_end = options.beta_end

    def log_alpha_bar(self, t: Tensor) -> Tensor:
        """The logarithm of ᾱ(t), float64."""
        t = as_float64(t)
        rise = self._beta_end - self._beta_start
        return -(self._beta_start * t + rise / 2 * t.square())

    def signal(self, t: Tensor) -> Tensor:
        """√ᾱ(t)."""
        return torch.exp(self.log_alpha_bar(t) / 2)

    def noise(self, t: Tensor) -> Tensor:
        """√(1−ᾱ(t)), accurate however close t is to 0."""
        return torch.sqrt(-torch.expm1(self.log_alpha_bar(t)))

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """Eq. 3: x_t − F."""
        del t
        return x_t - raw


@final
class RectifiedFlow(UnitInterval):
    """The schedule `linear`."""

    def __init__(self, options: RectifiedFlowOptions) -> None:
        self._options = options

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """Uniform or logit-normal in (0, 1], (count,), float64."""
        if self._options.times == "uniform":
            return super().draw_times(count=count, generator=generator)
        normal = _standard_normal(count=count, generator=generator)
        return torch.sigmoid(self._options.mean + self._options.std * normal)

    def signal(self, t: Tensor) -> Tensor:
        return 1 - as_float64(t)

    def noise(self, t: Tensor) -> Tensor:
        return as_float64(t).clone()  # float64 times would be handed back, not copied

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """x_t − t F."""
        return x_t - expand_B111(self.noise(t)).to(x_t.dtype) * raw


@final
class Karras(Schedule):
    """The schedule `karras`.

    Raises:
        ValueError: if σ does not rise; `options.check_sigma` reports it to users earlier.
    """

    def __init__(self, options: KarrasOptions) -> None:
        if options.sigma_min >= options.sigma_max:
            raise ValueError(f"σ must rise, but {options.sigma_min:g} ≥ {options.sigma_max:g}")
        self._options = options

    @property
    def last_time(self) -> float:
        """σ_max."""
        return self._options.sigma_max

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        """exp(N(P_mean, P_std²)), (count,), float64."""
        normal = _standard_normal(count=count, generator=generator)
        log_sigma = self._options.log_mean + self._options.log_std * normal
        # By default one draw in 600,000 is above σ_max.
        return log_sigma.exp().clamp(_SMALLEST_SIGMA, self.last_time)

    def signal(self, t: Tensor) -> Tensor:
        return torch.ones_like(as_float64(t))

    def noise(self, t: Tensor) -> Tensor:
        return as_float64(t).clone()  # float64 times would be handed back, not copied

    def prior(self, *, noise: Tensor) -> Tensor:
        return self._options.sigma_max * noise  # x_0 is negligible beside it

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """c_skip x_t + c_out F."""
        sigma_B, data = as_float64(t), self._options.sigma_data
        total_B = sigma_B.square() + data**2
        skip_B111 = expand_B111(data**2 / total_B).to(x_t.dtype)
        out_B111 = expand_B111(sigma_B * data * total_B.rsqrt()).to(x_t.dtype)
        return skip_B111 * x_t + out_B111 * raw

    def grid(self, *, steps: int) -> Tensor:
        """σ_0 = σ_max > … > σ_{s−1} = σ_min, (s,), float64, CPU; for one step, σ_max alone.

        Raises:
            ValueError: if `steps` is below 1; there is no largest number.
        """
        _check_steps(steps)
        options = self._options
        fraction = torch.arange(steps, dtype=torch.float64) / max(steps - 1, 1)
        first, last = (
            math.pow(sigma, 1 / options.rho) for sigma in (options.sigma_max, options.sigma_min)
        )
        sigma = (first + fraction * (last - first)).pow(options.rho)
        sigma[0] = options.sigma_max  # root and power may miss it by one bit
        return sigma

    def network_time(self, t: Tensor) -> Tensor:
        """¼ ln σ, float32, finite also at 0."""
        return (as_float64(t).clamp_min(_SMALLEST_SIGMA).log() / 4).to(torch.float32)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """c_in x_t: its variance is 1 where that of the images is σ_d²."""
        total_B = as_float64(t).square() + self._options.sigma_data**2
        return expand_B111(total_B.rsqrt()).to(x_t.dtype) * x_t
