"""Consistency training (Song et al. 2023, arXiv 2303.01469), improved and easy.

    loss = λ d(f(x_t, t), sg f(x_r, r)),     x_t = a(t) x_0 + s(t) ε,  x_r with the same ε,  r < t
    λ    = 1/(σ_t − σ_r),  σ = s/a                        or 1

f is the estimate D under the parametrization `consistency`, which gives f(x, σ_min) = x.  Both
evaluations drop the same units.  How t and r are paired:

    grid   neighbours in the schedule's grid of N(k) times in step k of K (Song & Dhariwal 2023,
           arXiv 2310.14189, "iCT"):
               N(k) = min(s_0 2^⌊k/K'⌋, s_1) + 1,   K' = ⌊K / (log₂⌊s_1/s_0⌋ + 1)⌋
           the pair i with probability ∝ erf((ln σ_{i+1} − P)/(√2 S)) − erf((ln σ_i − P)/(√2 S)), or
           uniformly
    ratio  t from the schedule's distribution (Geng et al. 2024, arXiv 2406.14548, "ECT"):
               r = max(0, t (1 − q^{−j} (1 + k sigmoid(−b t)))),   q = 2, k = 8, b = 1
           in stage j = 0…J of training.  In stage 0, r = 0 and f(x_r, r) = x_0: denoising.

The target is the network itself, or its average (CT), which the paper of iCT found harmful.

Legend: B images in the batch, N times of a grid.
"""

import math
from functools import lru_cache
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, Outcome, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_objectives.options import ConsistencyOptions
from dddm_objectives.path import draw_noise

_SHARPNESS: Final = 8.0
"""k of ECT: how much closer r is to t where t is large."""


def grid_size(options: ConsistencyOptions, *, step: int, total_steps: int) -> int:
    """N(k)."""
    first, last = options.first_steps, options.last_steps
    period = math.floor(total_steps / (math.log2(last // first) + 1))
    return int(min(first * 2 ** (step // max(period, 1)), last)) + 1


def stage_of(options: ConsistencyOptions, *, fraction: float) -> int:
    """j: 0 in the warm-up, then 1…J in equal shares of what is left."""
    warm_up = options.warm_up
    if fraction < warm_up:
        return 0
    rest = (fraction - warm_up) / (1 - warm_up)
    return min(1 + math.floor(rest * options.halvings), options.halvings)


@final
class Consistency(Objective):
    """The objective `consistency`."""

    def __init__(self, options: ConsistencyOptions) -> None:
        self._options = options
        # A run has few grids, and each is used for thousands of steps.
        self._grid = lru_cache(maxsize=2)(self._make_grid)

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        if self._options.pairs == "grid":
            t_B, r_B = self._neighbours(schedule, progress, count=count, generator=generator)
        else:
            t_B = schedule.draw_times(count=count, generator=generator)
            r_B = self._shorter(t_B, progress)
        noise_BCHW = draw_noise(count=count, shape=shape, generator=generator)
        return {"t": t_B, "r": r_B, "noise": noise_BCHW}

    def _neighbours(
        self,
        schedule: Schedule,
        progress: TrainingProgress,
        *,
        count: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        size = grid_size(self._options, step=progress.step, total_steps=progress.total_steps)
        t_N, weight_n = self._grid(schedule, size, generator.device)
        pair_B = torch.multinomial(weight_n, count, replacement=True, generator=generator)
        return t_N[pair_B], t_N[pair_B + 1]

    def _make_grid(
        self, schedule: Schedule, size: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """The falling times, (N,), and the probability of each pair of neighbours, (N − 1,)."""
        t_N = schedule.grid(steps=size)
        log_sigma_N = (schedule.noise(t_N) / schedule.signal(t_N)).log()
        if self._options.times == "uniform":
            weight_n = torch.ones(size - 1, dtype=torch.float64)
        else:
            scaled_N = (log_sigma_N - self._options.log_mean) / (
                math.sqrt(2) * self._options.log_std
            )
            cumulative_N = torch.erf(scaled_N)
            weight_n = cumulative_N[:-1] - cumulative_N[1:]
        return t_N.to(device), weight_n.to(device)

    def _shorter(self, t_B: Tensor, progress: TrainingProgress) -> Tensor:
        stage = stage_of(self._options, fraction=progress.fraction)
        shrink_B = (1 + _SHARPNESS * torch.sigmoid(-t_B)) / 2**stage
        r_B: Tensor = t_B * (1 - shrink_B)
        return r_B.clamp_min(0)

    def step(self, given: TrainingStep) -> Outcome:
        assert given.metric is not None
        schedule, draws, x_0_BCHW = given.denoiser.schedule, given.draws, given.batch.x_0
        t_B, r_B, noise_BCHW, label = draws["t"], draws["r"], draws["noise"], given.batch.label
        x_t_BCHW = schedule.diffuse(x_0=x_0_BCHW, t=t_B, noise=noise_BCHW)
        estimate_BCHW = given.denoiser.evaluate(x_t=x_t_BCHW, t=t_B, label=label, estimate=None)
        # Where r is 0 the network is given t in its place, and the target is x_0.
        above_zero_B = r_B > 0
        r_or_t_B = torch.where(above_zero_B, r_B, t_B)
        x_r_BCHW = schedule.diffuse(x_0=x_0_BCHW, t=r_or_t_B, noise=noise_BCHW)
        teacher = given.denoiser if given.average is None else given.average
        with given.frozen_pass():
            at_r_BCHW = teacher.evaluate(x_t=x_r_BCHW, t=r_or_t_B, label=label, estimate=None)
        target_BCHW = torch.where(expand_B111(above_zero_B), at_r_BCHW, x_0_BCHW)
        distance_B = given.metric.distance(estimate=estimate_BCHW, target=target_BCHW)
        loss_B = self._weight(schedule, t=t_B, r=r_B) * distance_B
        return Outcome(loss=loss_B.mean(), loss_B=loss_B)

    def _weight(self, schedule: Schedule, *, t: Tensor, r: Tensor) -> Tensor:
        """λ, (B,), float32."""
        sigma_t_B, sigma_r_B = (schedule.noise(u) / schedule.signal(u) for u in (t, r))
        if self._options.weight == "uniform":
            return torch.ones_like(sigma_t_B).float()
        return (1 / (sigma_t_B - sigma_r_B)).float()
