"""What objectives on a path x_t = a(t) x_0 + s(t) ε share: times and noise, and x_t itself.

Legend: B images in the batch, C channels, H rows, W columns.
"""

from abc import ABC
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule, expand_B111


class OnPath(Objective, ABC):
    """An objective that draws t from the schedule's distribution and ε ~ N(0, I).

    With self-conditioning it also draws which rows are conditioned on their own estimate, and what
    x̂ is before there is one.

    Args:
        self_conditioning: share of these rows.
    """

    def __init__(self, *, self_conditioning: float = 0.0) -> None:
        self._self_conditioning = self_conditioning

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
        draws = {
            "t": schedule.draw_times(count=count, generator=generator),
            "noise": draw_noise(count=count, shape=shape, generator=generator),
        }
        if self._self_conditioning > 0:
            uniform_B = torch.rand(count, generator=generator, device=generator.device)
            draws["conditioned"] = uniform_B < self._self_conditioning
            draws["first_estimate"] = draw_noise(count=count, shape=shape, generator=generator)
        return draws


def draw_noise(*, count: int, shape: ImageShape, generator: torch.Generator) -> Tensor:
    """N(0, I), (count, C, H, W)."""
    return torch.randn((count, *shape.as_tuple), generator=generator, device=generator.device)


def x_t_of(given: TrainingStep) -> Tensor:
    """x_t of the drawn times and noise, (B, C, H, W)."""
    return given.denoiser.schedule.diffuse(
        x_0=given.batch.x_0, t=given.draws["t"], noise=given.draws["noise"]
    )


def estimate_of(given: TrainingStep, *, x_t: Tensor) -> Tensor:
    """D(x_t, t), (B, C, H, W), self-conditioned where the draws say so.

    Self-conditioning (Chen, Zhang & Hinton 2022, arXiv 2208.04202): for a share of the rows x̂ is a
    first estimate, made without gradient; for the others it is what samplers begin with, here
    N(0, I).
    """
    t_B, label, draws = given.draws["t"], given.batch.label, given.draws
    x_hat_BCHW = draws.get("first_estimate")
    if x_hat_BCHW is not None:
        with given.frozen_pass():
            first_BCHW = given.denoiser.evaluate(x_t=x_t, t=t_B, label=label, estimate=x_hat_BCHW)
        x_hat_BCHW = torch.where(expand_B111(draws["conditioned"]), first_BCHW, x_hat_BCHW)
    return given.denoiser.evaluate(x_t=x_t, t=t_B, label=label, estimate=x_hat_BCHW)


def gaussian_denoiser(*, variance: float, schedule: Schedule) -> Callable[..., Tensor]:
    """E[x_0 | x_t] = v a x_t / (v a² + s²) for x_0 ~ N(0, v)."""

    def best(*, x_t: Tensor, t: Tensor, **_: Any) -> Tensor:
        a_B, s_B = schedule.signal(t), schedule.noise(t)
        gain_B = variance * a_B / (variance * a_B.square() + s_B.square())
        return expand_B111(gain_B).to(x_t.dtype) * x_t

    return best
