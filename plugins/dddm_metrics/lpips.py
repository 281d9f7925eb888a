"""LPIPS: a squared distance between features of a trained network (the paper, §4).

The network lies outside the model: a metric is no module, so that neither the model's weights nor
its `.train()` nor its checkpoints know of it.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm_metrics.lpips_options import PerceptualOptions
from dddm_metrics.perceptual_network import make_network


@final
class Lpips(Metric):
    """L(a, b) of `dddm_metrics.perceptual_network`.

    Raises:
        DataError: if the trunk's file is missing or wrong.
        EnvironmentProblem: if torchvision or lpips is unusable.
    """

    def __init__(self, options: PerceptualOptions) -> None:
        self.network = make_network(options)

    @property
    def trained_on(self) -> str:
        """The trunk learned to classify ImageNet."""
        return "ImageNet"

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """L(estimate, target), (B,), float32."""
        return self.distances(estimate=estimate, targets=(target,))[0]

    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """L for each target, each (B,), float32; features of the estimate are computed once."""
        for target in targets:
            if target.shape != estimate.shape:
                raise ValueError(
                    f"the estimate has shape {tuple(estimate.shape)}, "
                    f"the target {tuple(target.shape)}"
                )
        features = self.network.features(estimate)
        return tuple(
            self.network.compare(features, self._without_gradient(target)) for target in targets
        )

    def _without_gradient(self, target: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return self.network.features(target)
