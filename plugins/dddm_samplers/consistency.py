"""Sampling from a consistency model (Song et al. 2023, arXiv 2303.01469, algorithm 1).

    x_T ~ N(0, I);  for t in T = t_1 > t_2 > … > t_s > 0, t' being the next:
        D     = f_θ(x_t, t)                                  clamped to [-1, 1]
        x_t'  = a(t') (D + √(σ'² − σ_min²) z),  σ' = s(t')/a(t'),  z ~ N(0, I)
              = a(t') D + s(t') z  for σ_min = 0

The paper's D is an image with the noise σ_min, its boundary, so that less is added; with σ_min = 0,
D is x_0 itself.  The times after the first are those of the schedule's grid, or those at which the
noise s/a is nearest to given levels, of which further steps repeat the last.

Legend: B images of C channels, H rows, W columns; s steps.
"""

import math
from collections.abc import Iterator
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_samplers.falling import falling_times, fresh_noise, network_estimate
from dddm_samplers.options import ConsistencyOptions

_HALVINGS: Final = 60
"""Of (0, T], after which a time is exact in float64."""


@final
class Consistency(Sampler):
    """Adds fresh noise to each estimate, less at each step, and estimates again."""

    def __init__(self, options: ConsistencyOptions) -> None:
        self._clamp = options.clamp
        self._levels = options.times
        self._sigma_min = options.sigma_min

    @property
    def prefix_consistent(self) -> bool:
        return bool(self._levels)  # those of the grid depend on how many there are

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
        x_t_BCHW, estimate_BCHW = x_T, first_estimate
        for step, t_B in enumerate(self._times(schedule, steps=steps, x_T=x_T)):
            if step > 0:
                a_B, s_B = schedule.signal(t_B), schedule.noise(t_B)
                added_B = (s_B.square() - (a_B * self._sigma_min).square()).clamp_min(0).sqrt()
                a_B111, added_B111 = (expand_B111(one).to(x_T.dtype) for one in (a_B, added_B))
                z_BCHW = fresh_noise(noise, step=step)
                x_t_BCHW = a_B111 * estimate_BCHW + added_B111 * z_BCHW
            given_BCHW = network_estimate(model, estimate=estimate_BCHW, noise=noise, step=step)
            estimate_BCHW = model.evaluate(x_t=x_t_BCHW, t=t_B, label=label, estimate=given_BCHW)
            if self._clamp:
                estimate_BCHW = estimate_BCHW.clamp(-1.0, 1.0)
            yield estimate_BCHW.clamp(-1.0, 1.0)

    def _times(self, schedule: Schedule, *, steps: int, x_T: Tensor) -> Tensor:
        if not self._levels:
            return falling_times(schedule, steps=steps, x_T=x_T)[:-1]
        if steps < 1:
            raise ValueError(f"steps is {steps}; it must be at least 1")
        levels = (*self._levels[: steps - 1], *(steps - 1 - len(self._levels)) * self._levels[-1:])
        later = [time_of_noise(schedule, sigma=sigma) for sigma in levels]
        t_s = torch.cat([schedule.grid(steps=1), *later])
        return t_s.to(x_T.device)[:, None].expand(-1, x_T.shape[0])


def time_of_noise(schedule: Schedule, *, sigma: float) -> Tensor:
    """The time in (0, T] at which s/a, which rises with t, is nearest to `sigma`, (1,), CPU."""
    last = schedule.grid(steps=1)
    if not last.is_floating_point():
        every_T = schedule.grid(steps=int(schedule.last_time))
        log_ratio_T = schedule.noise(every_T).log() - schedule.signal(every_T).log()
        return every_T[(log_ratio_T - math.log(sigma)).abs().argmin()][None]
    below, above = torch.zeros_like(last), last
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if float(schedule.noise(middle)) < sigma * float(schedule.signal(middle)):
            below = middle
        else:
            above = middle
    return above
