"""Directly denoising diffusion models (Zhang, Wang & Luo, ICML 2024): eq. 2 to 5 and algorithm 1.

    X̂ ~ N(0, I)                                        one estimate for each training image
    for each epoch n, for each batch of images i:
        x̂    = X̂[i]
        t    ~ U{1…T},  ε ~ N(0, I)
        x_t  = √ᾱ_t x_0 + √(1−ᾱ_t) ε                    eq. 2
        x̂'   = f_θ(x̂, x_t, t) = x_t − F_θ(x̂, x_t, t)    eq. 3
        loss = d(x̂', x_0)                               eq. 5
        X̂[i] = x̂'                                       from the same forward pass

X̂ is the objective's memory, kept by the recipe's target store.

Legend: B images in the batch, C channels, H rows, W columns.
"""

from collections.abc import Callable, Mapping
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
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_objectives.leak import measure_leak
from dddm_objectives.options import DirectlyDenoisingOptions
from dddm_objectives.path import gaussian_denoiser


@final
class DirectlyDenoising(Objective):
    """The objective `directly-denoising`."""

    def __init__(self, options: DirectlyDenoisingOptions) -> None:
        self._dropout = options.estimate_dropout
        self._guided_mix = options.guided_mix

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Times and ε; for estimate dropout, which x̂ are dropped and the noise in their place."""
        del progress
        device, size = generator.device, (count, *shape.as_tuple)
        draws = {
            "t": schedule.draw_times(count=count, generator=generator),
            "noise": torch.randn(size, generator=generator, device=device),
        }
        if self._dropout > 0:
            uniform_B = torch.rand(count, generator=generator, device=device)
            draws["dropped"] = uniform_B < self._dropout
            draws["dropout_noise"] = torch.randn(size, generator=generator, device=device)
        return draws

    def step(self, given: TrainingStep) -> Outcome:
        """Algorithm 1 for one batch, up to the gradient."""
        denoiser, draws, x_0_BCHW = given.denoiser, given.draws, given.batch.x_0
        stored_BCHW = given.memory["estimate"]
        x_hat_BCHW = stored_BCHW
        if self._dropout > 0:
            dropped_B111 = expand_B111(draws["dropped"])
            x_hat_BCHW = torch.where(dropped_B111, draws["dropout_noise"], stored_BCHW)
        x_t_BCHW = denoiser.schedule.diffuse(x_0=x_0_BCHW, t=draws["t"], noise=draws["noise"])
        estimate_BCHW = denoiser.evaluate(
            x_t=x_t_BCHW, t=draws["t"], label=given.batch.label, estimate=x_hat_BCHW
        )
        loss_B = self._loss(given, estimate=estimate_BCHW, stored=stored_BCHW)
        return Outcome(
            loss=loss_B.mean(), loss_B=loss_B, memory={"estimate": estimate_BCHW.detach()}
        )

    def _loss(self, given: TrainingStep, *, estimate: Tensor, stored: Tensor) -> Tensor:
        """d(x̂', x_0), or the guided mix with d(x̂', x̂); (B,)."""
        metric, x_0, epoch = given.metric, given.batch.x_0, given.progress.epoch
        assert metric is not None
        if not self._guided_mix or epoch == 0:  # w = 1 in epoch 0, where x̂ is noise
            return metric.distance(estimate=estimate, target=x_0)
        weight = 1 / (epoch + 1)
        to_image_B, to_stored_B = metric.distances(estimate=estimate, targets=(x_0, stored))
        return weight * to_image_B + (1 - weight) * to_stored_B

    def diagnose(self, given: Diagnosis) -> Mapping[str, float]:
        return measure_leak(given)

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor]:
        return gaussian_denoiser(variance=variance, schedule=schedule)
