"""Algorithm 2: x̂ ← f(x̂, x_T, T), again and again."""

from collections.abc import Iterator
from typing import final

from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise


@final
class Again(Sampler):
    prefix_consistent = True

    def __init__(self, options: object) -> None:
        pass

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        t_B = model.schedule.grid(steps=1).expand(len(x_T))
        cache = model.begin(x_t=x_T, t=t_B, label=label)
        estimate = first_estimate
        for _ in range(steps):
            estimate = model.refine(cache, estimate=estimate).clamp(-1, 1)
            yield estimate
