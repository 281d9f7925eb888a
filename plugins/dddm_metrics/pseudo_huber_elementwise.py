"""Pseudo-Huber, elementwise form: √((a − b)² + c²) − c, mean over pixels.

This is what the paper's public code computes.  It is smaller than the vector form by about the
root of the number of pixels or more, so a c or a learning rate for one does not suit the other.
"""

from typing import final

from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm_metrics.difference import difference, pixel_mean, round_corner
from dddm_metrics.options import PseudoHuberElementwiseOptions


@final
class PseudoHuberElementwise(Metric):
    """An absolute difference with its corner at 0 rounded off; at most L1."""

    def __init__(self, options: PseudoHuberElementwiseOptions) -> None:
        self._c = options.c

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """Mean over pixels of √((a − b)² + c²) − c, (B,), float32."""
        difference_BCHW = difference(estimate=estimate, target=target)
        return pixel_mean(round_corner(distance=difference_BCHW, c=self._c))
