"""Algorithm 2 of the paper.

    x̂ ~ N(0, I),  x_T ~ N(0, I)
    s times:  x̂ ← f_θ(x̂, x_T, T)        clamped to [-1, 1], as in the paper's public code

Legend: B images of C channels, H rows, W columns.
"""

from collections.abc import Iterator
from typing import final

from torch import Tensor

from dddm.interfaces.sampler import Denoiser, Sampler
from dddm_samplers.options import FixedTimeOptions


@final
class FixedTime(Sampler):
    """Refines the estimate while x_T and T stay as they are."""

    def __init__(self, options: FixedTimeOptions) -> None:
        self._clamp = options.clamp

    @property
    def nested(self) -> bool:
        """True: a longer run goes through the estimates of a shorter one."""
        return True

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
    ) -> Iterator[Tensor]:
        """Yield `steps` estimates, (B, C, H, W); what depends on x_T alone is computed once.

        Raises:
            ValueError: if `steps` is below 1.
        """
        if steps < 1:
            raise ValueError(f"{steps} steps were asked for; there must be at least 1")
        t_B = model.schedule.grid(steps=1).to(x_T.device).expand(len(x_T))
        begun = model.begin(x_t=x_T, t=t_B, label=label)
        estimate_BCHW = first_estimate
        for _ in range(steps):
            estimate_BCHW = model.refine(begun, estimate=estimate_BCHW)
            if self._clamp:
                estimate_BCHW = estimate_BCHW.clamp(-1.0, 1.0)
            yield estimate_BCHW
