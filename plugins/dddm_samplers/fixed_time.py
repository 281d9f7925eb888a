"""Algorithm 2 of the paper.

    x̂ ~ N(0, I),  x_T ~ N(0, I)
    s times:  x̂ ← f_θ(x̂, x_T, T)        clamped to [-1, 1], as in the paper's public code

With a tolerance, an extension, an image leaves the batch once its estimate hardly moves.

Legend: B images of C channels, H rows, W columns; A of them still in the batch.
"""

from collections.abc import Iterator
from typing import final

import torch
from attrs import evolve
from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm_samplers.options import FixedTimeOptions


@final
class FixedTime(Sampler):
    """Refines the estimate at fixed x_T and T."""

    def __init__(self, options: FixedTimeOptions) -> None:
        self._options = options
        self._clamp = options.clamp
        self._tolerance = options.tolerance

    @property
    def prefix_consistent(self) -> bool:
        return True

    @property
    def reference_sampler(self) -> "FixedTime | None":
        return FixedTime(evolve(self._options, tolerance=0.0)) if self._tolerance else None

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
        del noise  # deterministic
        if steps < 1:
            raise ValueError(f"steps is {steps}; it must be at least 1")
        t_B = model.schedule.grid(steps=1).to(x_T.device).expand(x_T.shape[0])
        cache = model.begin(x_t=x_T, t=t_B, label=label)
        if self._tolerance:
            yield from self._until_converged(model, cache, first_estimate, steps=steps)
            return
        estimate_BCHW = first_estimate
        for _ in range(steps):
            estimate_BCHW = self._refined(model, cache, estimate_BCHW)
            yield estimate_BCHW

    def _refined(self, model: Denoiser, cache: object, estimate_BCHW: Tensor) -> Tensor:
        refined_BCHW = model.refine(cache, estimate=estimate_BCHW)
        return refined_BCHW.clamp(-1.0, 1.0) if self._clamp else refined_BCHW

    def _until_converged(
        self, model: Denoiser, cache: object, first_estimate: Tensor, *, steps: int
    ) -> Iterator[Tensor]:
        """Refine only images whose last step was not below the tolerance."""
        all_BCHW = first_estimate
        index_A = torch.arange(len(first_estimate), device=first_estimate.device)
        for _ in range(steps):
            if len(index_A):
                before_ACHW = all_BCHW[index_A]
                now_ACHW = self._refined(model, cache, before_ACHW)
                # A new tensor: the one before was yielded, and must not change.
                all_BCHW = all_BCHW.index_copy(0, index_A, now_ACHW.to(all_BCHW.dtype))
                moved_A = (now_ACHW - before_ACHW).square().mean(dim=(1, 2, 3)).sqrt()
                stays_A = (moved_A >= self._tolerance).nonzero()[:, 0]
                if len(stays_A) < len(index_A):
                    index_A = index_A[stays_A]
                    cache = model.select(cache, index=stays_A)
            yield all_BCHW
