"""Flow matching on the linear path, or rectified flow (Liu et al. 2022, arXiv 2209.03003).

    x_t  = (1 − t) x_0 + t ε
    v    = dx_t/dt = ε − x_0
    loss = ‖u(x_t, t) − v‖²,      u = (x_t − D(x_t, t)) / t

On another path u is the velocity on the linear one through x_t/(a + s), at the time s/(a + s); both
are one formula, since u − v = (x_0 − D) (a + s)/s.

t is drawn from the schedule's distribution: uniform, or logit-normal.

Legend: B images in the batch.
"""

from collections.abc import Callable
from typing import final

from torch import Tensor

from dddm.interfaces.objective import Outcome, TrainingStep
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_objectives.options import FlowMatchingOptions
from dddm_objectives.path import OnPath, estimate_of, gaussian_denoiser, x_t_of


@final
class FlowMatching(OnPath):
    """The objective `flow-matching`."""

    def __init__(self, options: FlowMatchingOptions) -> None:
        super().__init__(self_conditioning=options.self_conditioning)

    def step(self, given: TrainingStep) -> Outcome:
        schedule, t_B = given.denoiser.schedule, given.draws["t"]
        estimate_BCHW = estimate_of(given, x_t=x_t_of(given))
        a_B, s_B = schedule.signal(t_B), schedule.noise(t_B)
        factor_B111 = expand_B111((a_B + s_B) / s_B).float()
        error_BCHW = factor_B111 * (given.batch.x_0 - estimate_BCHW)  # u − v
        loss_B = error_BCHW.square().flatten(1).mean(dim=1)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B)

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor]:
        return gaussian_denoiser(variance=variance, schedule=schedule)
