"""Squared L2: the squared difference, mean over pixels."""

from typing import final

from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import NoOptions
from dddm_metrics.difference import difference, pixel_mean


@final
class SquaredL2(Metric):
    """mean (a − b)²."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """Mean over pixels of (a − b)², (B,), float32."""
        return pixel_mean(difference(estimate=estimate, target=target).square())
