"""DDIM (Song et al. 2021, arXiv 2010.02502), and the annealed sampler, a preset of it.

    x_T ~ N(0, I),  x̂ ~ N(0, I)
    for t in T = t_1 > t_2 > … > t_s > 0, t' being the next:
        x̂    ← f_θ(x̂, x_t, t)                                annealed: clamped to [-1, 1]
        ε     = (x_t − a(t) x̂) / s(t)
        x_t'  = a(t') x̂ + s(t') (√(1−ρ²) ε + ρ z)            eq. 12,  z ~ N(0, I)
        ρ²    = η² (1 − (a(t) s(t') / (a(t') s(t)))²)        eq. 16 on any path

With η = 0 nothing is random but the beginning.  With η = 1 the steps are DDPM's: s(t') ρ is the
standard deviation of x_t' given x_t and x_0.

`annealed` is not in the paper on DDDMs; it uses the same network, whose x̂ each step passes on.

Legend: B images of C channels, H rows, W columns; s steps.
"""

from collections.abc import Iterator
from typing import final

from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_samplers.falling import falling_times, fresh_noise, implied_noise, network_estimate
from dddm_samplers.options import AnnealedOptions, DdimOptions


@final
class Ddim(Sampler):
    """Lets t fall, rebuilding x_t from the estimate at each step."""

    def __init__(self, options: DdimOptions) -> None:
        self._clamp = options.clamp
        self._eta = options.eta

    @property
    def prefix_consistent(self) -> bool:
        return False  # the times depend on how many there are

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        schedule = model.schedule
        t_sB = falling_times(schedule, steps=steps, x_T=x_T)[:-1]
        x_t_BCHW, estimate_BCHW = x_T, first_estimate
        for step, t_B in enumerate(t_sB):
            if step > 0:
                before_B = t_sB[step - 1]
                noise_BCHW = implied_noise(schedule, x_t=x_t_BCHW, x_0=estimate_BCHW, t=before_B)
                if self._eta > 0:
                    kept_B111, fresh_B111 = self._shares(schedule, t=before_B, later=t_B)
                    z_BCHW = fresh_noise(noise, step=step)
                    noise_BCHW = (
                        kept_B111.to(z_BCHW.dtype) * noise_BCHW
                        + fresh_B111.to(z_BCHW.dtype) * z_BCHW
                    )
                x_t_BCHW = schedule.diffuse(x_0=estimate_BCHW, t=t_B, noise=noise_BCHW)
            given_BCHW = network_estimate(model, estimate=estimate_BCHW, noise=noise, step=step)
            estimate_BCHW = model.evaluate(x_t=x_t_BCHW, t=t_B, label=label, estimate=given_BCHW)
            if self._clamp:
                estimate_BCHW = estimate_BCHW.clamp(-1.0, 1.0)
            yield estimate_BCHW.clamp(-1.0, 1.0)

    def _shares(self, schedule: Schedule, *, t: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
        """√(1−ρ²) and ρ, (B, 1, 1, 1), float64."""
        ratio_B = schedule.signal(t) * schedule.noise(later)
        ratio_B = ratio_B / (schedule.signal(later) * schedule.noise(t))
        square_B111 = expand_B111(self._eta**2 * (1 - ratio_B.square()))
        return (1 - square_B111).sqrt(), square_B111.sqrt()


def annealed(options: AnnealedOptions) -> Ddim:
    """Make the sampler `annealed`."""
    return Ddim(DdimOptions(clamp=options.clamp))
