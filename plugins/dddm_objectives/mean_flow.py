"""MeanFlow (Geng et al. 2025, arXiv 2505.13447): average velocities, for one step.

On the linear path x_t = (1 − t) x_0 + t ε with velocity v = ε − x_0, the network gives the average
velocity between r and t,

    u(x_t, r, t) = (x_t − D(x_t, t; r)) / t,         x_r = x_t − (t − r) u(x_t, r, t),

which satisfies u = v − (t − r) du/dt along the path.  By one forward-mode derivative:

    du/dt  = ∂_z u · v + ∂_t u                        the tangent of (z, r, t) is (v, 0, 1)
    target = v − (t − r) du/dt
    loss   = ‖Δ‖² / sg(‖Δ‖² + c)^p,                   Δ = u − sg(target), ‖·‖² a sum over the image

t and r are the larger and the smaller of two draws from the schedule's distribution; for a share of
the images r = t, where the target is v itself.  One step samples x_0 = ε − u(ε, 0, 1).

Legend: B images in the batch.
"""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, Outcome, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_objectives.options import MeanFlowOptions
from dddm_objectives.path import draw_noise, x_t_of


@final
class MeanFlow(Objective):
    """The objective `mean-flow`."""

    def __init__(self, options: MeanFlowOptions) -> None:
        self._options = options

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        del progress
        first_B, second_B = (
            schedule.draw_times(count=count, generator=generator).float() for _ in range(2)
        )
        t_B = torch.maximum(first_B, second_B)
        equal_B = (
            torch.rand(count, generator=generator, device=generator.device)
            < self._options.equal_share
        )
        return {
            "t": t_B,
            "r": torch.where(equal_B, t_B, torch.minimum(first_B, second_B)),
            "noise": draw_noise(count=count, shape=shape, generator=generator),
        }

    def step(self, given: TrainingStep) -> Outcome:
        t_B, r_B, noise_BCHW = given.draws["t"], given.draws["r"], given.draws["noise"]
        x_t_BCHW, v_BCHW = x_t_of(given), noise_BCHW - given.batch.x_0

        def u(z_BCHW: Tensor, r_B: Tensor, t_B: Tensor) -> Tensor:
            estimate_BCHW = given.denoiser.evaluate(
                x_t=z_BCHW, t=t_B, label=given.batch.label, estimate=None, second_time=r_B
            )
            return (z_BCHW - estimate_BCHW) / expand_B111(t_B)

        tangents = (v_BCHW, torch.zeros_like(r_B), torch.ones_like(t_B))
        u_BCHW, du_dt_BCHW = given.jvp(u, (x_t_BCHW, r_B, t_B), tangents)
        target_BCHW = v_BCHW - expand_B111(t_B - r_B) * du_dt_BCHW.detach()
        square_B = (u_BCHW - target_BCHW).square().flatten(1).sum(dim=1)
        loss_B = square_B / (square_B.detach() + self._options.offset) ** self._options.power
        return Outcome(
            loss=loss_B.mean(),
            loss_B=loss_B,
            numbers={"error": square_B.detach().mean() / v_BCHW[0].numel()},
        )

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor] | None:
        """D = x_t − t u for x_0 ~ N(0, v), on the linear path alone.

        There x_t moves in proportion to its deviation ρ(t) = √((1−t)² v + t²), so that
        u = x_t (1 − ρ(r)/ρ(t))/(t − r) = x_t ((t + r)(1 + v) − 2v) / (ρ(t) (ρ(t) + ρ(r))).
        """
        half = torch.tensor([0.5], dtype=torch.float64)
        if schedule.last_time != 1 or float(schedule.signal(half) + schedule.noise(half)) != 1:
            return None

        def rho(t: Tensor) -> Tensor:
            return ((1 - t).square() * variance + t.square()).sqrt()

        def best(*, x_t: Tensor, t: Tensor, second_time: Tensor, **_: Any) -> Tensor:
            rho_t, rho_r = rho(t), rho(second_time)
            u_B = ((t + second_time) * (1 + variance) - 2 * variance) / (rho_t * (rho_t + rho_r))
            return expand_B111(1 - t * u_B) * x_t

        return best
