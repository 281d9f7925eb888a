"""Steps of an objective on a few images, by a denoiser of one line."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from dddm.core.draws import Draws, draw
from dddm.core.step import StepParts, make_step
from dddm.interfaces.info import ImageShape
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Batch, Objective, Outcome, TrainingProgress
from dddm.interfaces.schedule import Schedule
from dddm.testing.toys import ScalarDenoiser, SquaredError

PIXEL = ImageShape(channels=1, height=1, width=1)


def progress_at(step: int, total_steps: int = 10) -> TrainingProgress:
    return TrainingProgress(step=step, total_steps=total_steps, epoch=0)


def draws_of(
    objective: Objective,
    schedule: Schedule,
    *,
    count: int,
    shape: ImageShape = PIXEL,
    seed: int = 0,
    progress: TrainingProgress | None = None,
) -> dict[str, Tensor]:
    return dict(
        draw(
            objective,
            count=count,
            shape=shape,
            schedule=schedule,
            progress=progress or progress_at(0),
            generator=torch.Generator().manual_seed(seed),
            flips=False,
        ).values
    )


def step_of(
    objective: Objective,
    schedule: Schedule,
    *,
    x_0: Tensor,
    draws: Mapping[str, Tensor],
    function: Callable[..., Tensor],
    metric: Metric | None = None,
    average: Callable[..., Tensor] | None = None,
    progress: TrainingProgress | None = None,
) -> tuple[Outcome, ScalarDenoiser]:
    """One step with the denoiser θ · function(x_t, t, label, second_time, estimate), θ = 1."""
    denoiser = ScalarDenoiser(schedule, function=function)
    index = torch.arange(len(x_0))
    outcome = make_step(
        StepParts(
            objective=objective,
            denoiser=denoiser,
            average=None if average is None else ScalarDenoiser(schedule, function=average),
            metric=metric or SquaredError(),
        ),
        batch=Batch(index=index, x_0=x_0, label=None, rows=index),
        draws=Draws(values=draws, flipped=None),
        memory={},
        progress=progress or progress_at(0),
    )
    return outcome, denoiser


def smooth(
    *, x_t: Tensor, t: Tensor, second_time: Any = None, estimate: Any = None, **_: Any
) -> Tensor:
    """A denoiser that depends on everything."""
    found = 0.7 * torch.tanh(x_t) + 0.2 * torch.cos(t.to(x_t.dtype)).reshape(-1, 1, 1, 1)
    if second_time is not None:
        found = found - 0.1 * x_t * second_time.to(x_t.dtype).reshape(-1, 1, 1, 1)
    return found if estimate is None else found + 0.3 * torch.sin(estimate)
