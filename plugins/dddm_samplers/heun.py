"""Heun's method for the probability flow (Karras et al. 2022, arXiv 2206.00364, algorithm 1).

With z = x/a and σ = s/a, dz/dσ = (z − D)/σ; with z = x/(a+s) and σ = s/(a+s) likewise.  One step
from σ to σ' averages the slopes at both ends, which is Euler's step and a correction:

    Euler    z*  = D + σ' d,            d  = (z − D(z, σ)) / σ           DDIM's step
    Heun     z'  = z + (σ' − σ) (d + d')/2,  d' = (z* − D(z*, σ')) / σ'
                 = z* + ½ (σ/σ' − 1) (D(z*, σ') − D(z, σ))

The last step, to σ = 0, is Euler's: so s steps make 2s − 1 evaluations, and the sample is the last
D.  σ = s/a is EDM's own; where it is too large at T, as on the linear path with its a(T) = 0, the
second form is used, in which σ is between 0 and 1, on the linear path exactly t.

Legend: B images of C channels, H rows, W columns; s steps.
"""

from collections.abc import Iterator
from typing import Final, final

from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_samplers.falling import ddim_step, falling_times, network_estimate

_LARGEST_RATIO: Final = 1000.0
"""s(T)/a(T) up to which σ = s/a: a step multiplies the error of D by about σ/σ'."""


@final
class Heun(Sampler):
    """Second order: each step but the last evaluates the network at both of its ends."""

    def __init__(self, options: object) -> None:
        del options

    @property
    def prefix_consistent(self) -> bool:
        return False  # the times depend on how many there are

    def evaluations(self, steps: int) -> int:
        return 2 * steps - 1

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
        x_t_BCHW, D_BCHW, latent_BCHW = x_T, first_estimate, first_estimate
        for step, t_B in enumerate(t_sB):
            if step > 0:
                before_B = t_sB[step - 1]
                x_t_BCHW = ddim_step(schedule, x_t=x_t_BCHW, x_0=D_BCHW, t=before_B, later=t_B)
                # Both ends of a step see the same latent: so it integrates one vector field.
                given_BCHW = latent_BCHW if model.takes_latent else D_BCHW
                D_there_BCHW = model.evaluate(x_t=x_t_BCHW, t=t_B, label=label, estimate=given_BCHW)
                weight_B111 = _correction(schedule, t=before_B, later=t_B).to(x_t_BCHW.dtype)
                x_t_BCHW = x_t_BCHW + weight_B111 * (D_there_BCHW - D_BCHW)
            latent_BCHW = network_estimate(model, estimate=D_BCHW, noise=noise, step=step)
            D_BCHW = model.evaluate(x_t=x_t_BCHW, t=t_B, label=label, estimate=latent_BCHW)
            yield D_BCHW.clamp(-1.0, 1.0)


def _correction(schedule: Schedule, *, t: Tensor, later: Tensor) -> Tensor:
    """½ (σ/σ' − 1), times what z' is divided by, (B, 1, 1, 1), float64."""
    last = schedule.grid(steps=1)
    bounded = float(schedule.noise(last)) > _LARGEST_RATIO * float(schedule.signal(last))

    def sigma_and_scale(time: Tensor) -> tuple[Tensor, Tensor]:
        a_B, s_B = schedule.signal(time), schedule.noise(time)
        scale_B = a_B + s_B if bounded else a_B
        return s_B / scale_B, scale_B

    (sigma_B, _), (later_B, scale_B) = sigma_and_scale(t), sigma_and_scale(later)
    return expand_B111(0.5 * (sigma_B / later_B - 1) * scale_B)
