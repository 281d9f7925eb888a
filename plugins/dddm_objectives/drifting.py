"""Drifting (Deng, Li, Li, Du & He 2026, arXiv 2602.04770): training of a one-step generator.

For each class, n images are generated from noise and compared with m real ones:

    x_T  ~ N(0, s(T)² I)
    g    = f_θ(x_T, T)
    loss = d(g, r), which moves g along the drift V between both sets       `comparison`

V vanishes where both sets have the same distribution.  The loss hardly falls, because V is
normalised in it; follow the number `drift`, the root mean square of V before that.

Legend: B = G n generated images in G sets.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Outcome, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule
from dddm_objectives.comparison import ComparesSets


@final
class Drifting(ComparesSets):
    """The objective `drifting`."""

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        del schedule, progress
        size = (count, *shape.as_tuple)
        return {"noise": torch.randn(size, generator=generator, device=generator.device)}

    def step(self, given: TrainingStep) -> Outcome:
        sets, draws, schedule = given.batch.sets, given.draws, given.denoiser.schedule
        assert sets is not None, "describe_drifting asks for sets"
        count = len(draws["noise"])
        generated_BCHW = given.denoiser.evaluate(
            x_t=schedule.prior(noise=draws["noise"]),
            t=schedule.grid(steps=1).to(draws["noise"].device, non_blocking=True).expand(count),
            label=given.batch.label,
            estimate=None,
        )
        loss, drift = self._compare(
            generated_BCHW, sets.x_0, index=sets.index, step=given.progress.step
        )
        return Outcome(loss=loss, numbers={"drift": drift})
