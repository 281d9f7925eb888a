"""L1: the absolute difference, mean over pixels."""

from typing import final

from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import NoOptions
from dddm_metrics.difference import difference, pixel_mean


@final
class L1(Metric):
    """mean |a − b|."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """Mean over pixels of |a − b|, (B,), float32."""
        return pixel_mean(difference(estimate=estimate, target=target).abs())
