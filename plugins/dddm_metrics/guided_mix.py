"""The guided mix of the follow-up paper (arXiv 2405.21059); it is not in the paper.

    w d(f, x_0) + (1 − w) d(f, x̂),   w = 1/(n + 1) in epoch n

At first the image teaches, later more and more the estimate that the network was given.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm_metrics.options import GuidedMixOptions


@final
class GuidedMix(Metric):
    """Any metric, as a loss against two targets."""

    def __init__(self, options: GuidedMixOptions) -> None:
        self._metric: Metric = options.of.make()

    @property
    def trained_on(self) -> str | None:
        """As the metric that is mixed."""
        return self._metric.trained_on

    def to(self, device: torch.device) -> None:
        """Move the metric that is mixed."""
        self._metric.to(device)

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """That of the metric that is mixed."""
        return self._metric.distance(estimate=estimate, target=target)

    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Those of the metric that is mixed."""
        return self._metric.distances(estimate=estimate, targets=targets)

    def loss(
        self, *, estimate: Tensor, target: Tensor, previous_estimate: Tensor, epoch: int
    ) -> Tensor:
        """The mix, (B,), float32; see `Metric.loss` for the arguments."""
        if epoch == 0:  # w = 1: the first estimates are noise, and count for nothing
            return self.distance(estimate=estimate, target=target)
        weight = 1 / (epoch + 1)
        to_image_B, to_estimate_B = self.distances(
            estimate=estimate, targets=(target, previous_estimate)
        )
        return weight * to_image_B + (1 - weight) * to_estimate_B
