"""Annealed sampling: an extension, not in the paper, for the same network.

    x̂ ~ N(0, I),  x_T ~ N(0, I)
    for t in T = t_1 > t_2 > … > t_s > 0, t' being the next:
        x̂    ← f_θ(x̂, x_t, t)             clamped to [-1, 1]
        ε     = (x_t − a(t) x̂) / s(t)
        x_t'  = a(t') x̂ + s(t') ε          as DDIM (arXiv 2010.02502, eq. 12, σ = 0)

Legend: B images of C channels, H rows, W columns.
"""

from collections.abc import Iterator
from typing import final

from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_samplers.options import AnnealedOptions


@final
class Annealed(Sampler):
    """Lets t fall, rebuilding x_t from the estimate at each step."""

    def __init__(self, options: AnnealedOptions) -> None:
        self._clamp = options.clamp

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
        del noise  # deterministic
        t_sB = model.schedule.grid(steps=steps).to(x_T.device)[:, None].expand(-1, len(x_T))
        x_t_BCHW, estimate_BCHW = x_T, first_estimate
        for step, t_B in enumerate(t_sB):
            if step > 0:
                noise_BCHW = implied_noise(
                    schedule=model.schedule, x_t=x_t_BCHW, x_0=estimate_BCHW, t=t_sB[step - 1]
                )
                x_t_BCHW = model.schedule.diffuse(x_0=estimate_BCHW, t=t_B, noise=noise_BCHW)
            cache = model.begin(x_t=x_t_BCHW, t=t_B, label=label)
            estimate_BCHW = model.refine(cache, estimate=estimate_BCHW)
            if self._clamp:
                estimate_BCHW = estimate_BCHW.clamp(-1.0, 1.0)
            yield estimate_BCHW


def implied_noise(*, schedule: Schedule, x_t: Tensor, x_0: Tensor, t: Tensor) -> Tensor:
    """The ε that turns `x_0` into `x_t` at `t`, (B, C, H, W)."""
    signal_B111 = expand_B111(schedule.signal(t)).to(x_t.dtype)
    noise_B111 = expand_B111(schedule.noise(t)).to(x_t.dtype)
    return (x_t - signal_B111 * x_0) / noise_B111
