"""Pseudo-Huber, vector form: √(‖a − b‖² + c²) − c (iCT, arXiv 2310.14189; the paper, §4).

It is no metric in the mathematical sense: the triangle inequality does not hold near zero.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm_metrics.difference import difference, round_corner
from dddm_metrics.options import PseudoHuberOptions


@final
class PseudoHuber(Metric):
    """A norm over the whole image with its corner at 0 rounded off; at most the norm."""

    def __init__(self, options: PseudoHuberOptions) -> None:
        self._c = options.c

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """√(‖a − b‖² + c²) − c, (B,), float32; the norm is over channels and pixels, no mean."""
        difference_BCHW = difference(estimate=estimate, target=target)
        norm_B = torch.linalg.vector_norm(difference_BCHW.flatten(1), dim=1)
        return round_corner(distance=norm_B, c=self._c).to(torch.float32)
