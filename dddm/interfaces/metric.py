"""The distance d between an estimate and an image (eq. 5, §4)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor


class Metric(ABC):
    """A distance of which training takes the mean over the batch.

    It draws no random numbers and does not modify its arguments.  Its gradient is finite, also
    where the two images are equal.

    A target of kind `metric` is called as `target(options)`.
    """

    @property
    def trained_on(self) -> str | None:
        """Name of the data set that the metric's features were trained on; None without features.

        Reports warn of scores measured in features that were trained on the same data set.
        """
        return None

    def to(self, device: torch.device) -> None:
        """Move the metric's network, if it has one, to `device`."""
        return

    @abstractmethod
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """d(estimate, target), one for each sample: (B,), float32, at least 0, 0 at equality.

        Args:
            estimate: (B, C, H, W), nominally in [-1, 1] but not clamped; carries the gradient.
            target: (B, C, H, W), in [-1, 1]; carries no gradient.
        """

    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One `distance` of the same estimate for each target, each (B,), float32.

        A metric that compares features overrides this, so that those of the estimate, which carry
        the gradient, are computed once.

        Args:
            estimate: (B, C, H, W), as `distance` takes it.
            targets: each (B, C, H, W); none carries a gradient.
        """
        return tuple(self.distance(estimate=estimate, target=target) for target in targets)
