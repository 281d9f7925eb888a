"""Denoising: DDPM (Ho et al. 2020, arXiv 2006.11239) and EDM (Karras et al. 2022, 2206.00364).

    x_t  = a(t) x_0 + s(t) ε,  σ = s/a
    loss = w(t) d(D(x_t, t), x_0)

    w    edm        (σ² + σ_d²) / (σ σ_d)²    the loss of F has unit weight, EDM eq. 144
         noise      1/σ²                      ‖ε̂ − ε‖² of DDPM, "L_simple"
         v          ((a² + s²)/s)²            ‖v̂ − v‖² (Salimans & Ho 2022, arXiv 2202.00512)
         uniform    1

The equalities hold for d = l2.  t is drawn from the schedule's distribution.

Legend: B images in the batch.
"""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.objective import Outcome, TrainingStep
from dddm.interfaces.schedule import Schedule
from dddm_objectives.options import DenoisingOptions
from dddm_objectives.path import OnPath, estimate_of, gaussian_denoiser, x_t_of


@final
class Denoising(OnPath):
    """The objective `denoising`."""

    def __init__(self, options: DenoisingOptions) -> None:
        super().__init__(self_conditioning=options.self_conditioning)
        self._options = options

    def step(self, given: TrainingStep) -> Outcome:
        assert given.metric is not None
        estimate_BCHW = estimate_of(given, x_t=x_t_of(given))
        distance_B = given.metric.distance(estimate=estimate_BCHW, target=given.batch.x_0)
        loss_B = self._weight(given.denoiser.schedule, given.draws["t"]) * distance_B
        return Outcome(loss=loss_B.mean(), loss_B=loss_B)

    def _weight(self, schedule: Schedule, t: Tensor) -> Tensor:
        """w(t), (B,), float32."""
        a_B, s_B = schedule.signal(t), schedule.noise(t)
        inverse_sigma_B = a_B / s_B  # finite also where a is 0
        match self._options.weight:
            case "edm":
                w_B = inverse_sigma_B.square() + self._options.sigma_data**-2
            case "noise":
                w_B = inverse_sigma_B.square()
            case "v":
                w_B = ((a_B.square() + s_B.square()) / s_B).square()
            case "uniform":
                w_B = torch.ones_like(a_B)
        return w_B.float()

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor]:
        return gaussian_denoiser(variance=variance, schedule=schedule)
