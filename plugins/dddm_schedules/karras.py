"""The variance exploding path of EDM (Karras et al. 2022, arXiv 2206.00364), in continuous noise.

    x_t = x_0 + σ ε,  the time is σ itself, real in (0, T], T = σ_max
    ln σ ~ N(P_mean, P_std²) in training                                          table 1
    σ_i = (σ_max^{1/ρ} + i/(n−1) (σ_min^{1/ρ} − σ_max^{1/ρ}))^ρ,  i = 0…n−1       eq. 5
    D = c_skip x_t + c_out F(c_in x_t, ¼ ln σ)                                    eq. 7
    c_skip = σ_d²/(σ²+σ_d²),  c_out = σ σ_d/√(σ²+σ_d²),  c_in = 1/√(σ²+σ_d²)

Training times above σ_max, of which the defaults draw one in 600,000, are cut to it.

Legend: B images of C channels, H rows, W columns.  Coefficients are float64.
"""

import math
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_schedules.options import KarrasOptions
from dddm_schedules.real_times import as_real

_LEAST: Final = 1e-8
"""σ in ln σ, which is not finite at 0; no training time is smaller."""


@final
class Karras(Schedule):
    """The schedule `karras`.

    Raises:
        ValueError: if σ does not rise; `options.check_sigma` tells a user so beforehand.
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
        """exp(N(P_mean, P_std²)), at most σ_max, (count,), float64, on the generator's device."""
        normal = torch.randn(
            count, generator=generator, device=generator.device, dtype=torch.float64
        )
        log_sigma = self._options.log_mean + self._options.log_std * normal
        return log_sigma.exp().clamp(_LEAST, self.last_time)

    def signal(self, t: Tensor) -> Tensor:
        """1 at all times, float64."""
        return torch.ones_like(as_real(t))

    def noise(self, t: Tensor) -> Tensor:
        """σ = t, float64."""
        return as_real(t).clone()

    def prior(self, *, noise: Tensor) -> Tensor:
        """σ_max ε: beside it x_0 is too small to be seen."""
        return self._options.sigma_max * noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        """c_skip x_t + c_out F, (B, C, H, W)."""
        sigma_B, data = as_real(t), self._options.sigma_data
        total_B = sigma_B.square() + data**2
        skip_B111 = expand_B111(data**2 / total_B).to(x_t.dtype)
        out_B111 = expand_B111(sigma_B * data * total_B.rsqrt()).to(x_t.dtype)
        return skip_B111 * x_t + out_B111 * raw

    def grid(self, *, steps: int) -> Tensor:
        """σ_0 = σ_max > … > σ_{s−1} = σ_min, (s,), float64, CPU; of one step, σ_max.

        Raises:
            ValueError: if `steps` is below 1; there is no largest number.
        """
        if steps < 1:
            raise ValueError(f"{steps} steps were asked for; there must be at least 1")
        options = self._options
        fraction = torch.arange(steps, dtype=torch.float64) / max(steps - 1, 1)
        first, last = (
            math.pow(sigma, 1 / options.rho) for sigma in (options.sigma_max, options.sigma_min)
        )
        sigma = (first + fraction * (last - first)).pow(options.rho)
        sigma[0] = options.sigma_max  # a root and its power may miss it by one bit
        return sigma

    def network_time(self, t: Tensor) -> Tensor:
        """¼ ln σ, float32, finite also at 0."""
        return (as_real(t).clamp_min(_LEAST).log() / 4).to(torch.float32)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        """c_in x_t: its variance is 1 where that of the images is σ_d²."""
        total_B = as_real(t).square() + self._options.sigma_data**2
        return expand_B111(total_B.rsqrt()).to(x_t.dtype) * x_t
