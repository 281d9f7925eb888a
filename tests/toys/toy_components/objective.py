"""Algorithm 1: the network is given x̂, its own estimate of the epoch before."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import (
    Diagnosis,
    Objective,
    Outcome,
    TrainingProgress,
    TrainingStep,
)
from dddm.interfaces.schedule import Schedule


@final
class Remember(Objective):
    def __init__(self, options: object = None) -> None:
        pass

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> Mapping[str, Tensor]:
        return {
            "t": schedule.draw_times(count=count, generator=generator),
            "noise": torch.randn(count, *shape.as_tuple, generator=generator),
        }

    def step(self, given: TrainingStep) -> Outcome:
        x_0, t = given.batch.x_0, given.draws["t"]
        x_t = given.denoiser.schedule.diffuse(x_0=x_0, t=t, noise=given.draws["noise"])
        estimate = given.denoiser.evaluate(
            x_t=x_t, t=t, label=given.batch.label, estimate=given.memory["estimate"]
        )
        assert given.metric is not None
        loss_B = given.metric.distance(estimate=estimate, target=x_0)
        return Outcome(
            loss=loss_B.mean(),
            loss_B=loss_B,
            memory={"estimate": estimate.detach()},
            numbers={"brightest": estimate.detach().amax()},
        )

    def diagnose(self, given: Diagnosis) -> Mapping[str, float]:
        return {"spread": float(given.memory["estimate"].std())}
