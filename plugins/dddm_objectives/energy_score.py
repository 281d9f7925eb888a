"""Distributional diffusion by an energy score (De Bortoli et al. 2025, arXiv 2502.02483).

The network gets a latent ξ ~ N(0, I) as x̂ and gives a sample of x_0 given x_t, not its mean:

    x_t  = a(t) x_0 + s(t) ε
    f_j  = f(ξ_j, x_t, t),  ξ_j ~ N(0, I),  j = 1…m
    loss = mean_j ‖f_j − x_0‖^β − λ / (2 m (m − 1)) Σ_{j≠k} ‖f_j − f_k‖^β

For λ = 1 and β in (0, 2) this is a strictly proper scoring rule: its expectation is least where f
has the distribution of x_0 given x_t.  β = 2 with λ = 0 is denoising.  Norms are divided by the
square root of the number of values, so that the loss does not grow with the image.

Legend: B images in the batch, m latents of each.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any, Final, final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Outcome, TrainingStep
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm_objectives.options import EnergyScoreOptions
from dddm_objectives.path import OnPath, draw_noise, x_t_of

_SMALLEST: Final = 1e-6
"""Added to a mean square: ‖·‖^β has no gradient where two images are equal."""


@final
class EnergyScore(OnPath):
    """The objective `energy-score`."""

    def __init__(self, options: EnergyScoreOptions) -> None:
        super().__init__()
        self._latents = options.latents
        self._beta = options.beta
        self._spread = options.spread

    def draw(
        self, *, count: int, shape: ImageShape, generator: torch.Generator, **given: Any
    ) -> dict[str, Tensor]:
        draws = super().draw(count=count, shape=shape, generator=generator, **given)
        for number in range(self._latents):
            draws[f"latent_{number}"] = draw_noise(count=count, shape=shape, generator=generator)
        return draws

    def step(self, given: TrainingStep) -> Outcome:
        cache = given.denoiser.begin(x_t=x_t_of(given), t=given.draws["t"], label=given.batch.label)
        f_BCHW = [
            given.denoiser.refine(cache, estimate=given.draws[f"latent_{number}"])
            for number in range(self._latents)
        ]
        to_image_B = torch.stack([self._distance(f, given.batch.x_0) for f in f_BCHW]).mean(dim=0)
        apart_B = torch.stack([self._distance(f, g) for f, g in combinations(f_BCHW, 2)]).mean(
            dim=0
        )
        # Each pair stands twice in the sum over j ≠ k, which is divided by 2.
        loss_B = to_image_B - self._spread / 2 * apart_B
        return Outcome(
            loss=loss_B.mean(), loss_B=loss_B, numbers={"spread": apart_B.detach().mean()}
        )

    def _distance(self, first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
        """‖·‖^β, (B,)."""
        square_B = (first_BCHW - second_BCHW).square().flatten(1).mean(dim=1)
        return (square_B + _SMALLEST) ** (self._beta / 2)

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor] | None:
        """A sample of N(v a x_t / (v a² + s²), v s² / (v a² + s²)) for x_0 ~ N(0, v)."""
        if self._spread != 1:
            return None

        def best(*, x_t: Tensor, t: Tensor, estimate: Tensor, **_: Any) -> Tensor:
            a_B, s_B = schedule.signal(t), schedule.noise(t)
            total_B = variance * a_B.square() + s_B.square()
            gain_B111 = expand_B111(variance * a_B / total_B).to(x_t.dtype)
            deviation_B111 = expand_B111((variance / total_B).sqrt() * s_B).to(x_t.dtype)
            return gain_B111 * x_t + deviation_B111 * estimate

        return best
