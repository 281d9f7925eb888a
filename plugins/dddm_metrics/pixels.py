"""Metrics on pixels: `l1`, `l2`, `pseudo-huber` and `pseudo-huber-elementwise`.

    l1                          mean |a − b|
    l2                          mean (a − b)²
    pseudo-huber                √(‖a − b‖² + c²) − c       iCT, arXiv 2310.14189; the paper, §4
    pseudo-huber-elementwise    mean √((a − b)² + c²) − c  the paper's public code

Means and the norm are over channels and pixels.  The elementwise form is smaller than the vector
form by about the root of the number of pixels or more, so a c or a learning rate for one does not
suit the other.  Neither is a metric in the mathematical sense: the triangle inequality does not
hold near zero.

Legend: B images of C channels, H rows, W columns.
"""

from typing import final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import NoOptions
from dddm_metrics.options import PseudoHuberElementwiseOptions, PseudoHuberOptions
from dddm_metrics.shapes import require_same_shape


def difference(*, estimate: Tensor, target: Tensor) -> Tensor:
    """Estimate − target, (B, C, H, W), in float32 or better, whatever precision the two come in.

    Raises:
        ValueError: if the shapes differ: broadcasting would compare the wrong images.
    """
    require_same_shape(estimate=estimate, target=target)
    precision = torch.promote_types(estimate.dtype, target.dtype)
    precision = torch.promote_types(precision, torch.float32)
    return estimate.to(precision) - target.to(precision)


def pixel_mean(value_BCHW: Tensor) -> Tensor:
    """Mean over pixels and channels, (B,), float32."""
    return value_BCHW.flatten(1).mean(dim=1).to(torch.float32)


def pseudo_huber(distance: Tensor, *, c: float) -> Tensor:
    """√(d² + c²) − c, any shape."""
    # hypot, because c² may underflow; the gradient at d = 0 is then 0 for every c above 0.
    hypotenuse = torch.hypot(distance, distance.new_full((), c))
    # Not hypotenuse − c: for d ≪ c that is the difference of two nearly equal numbers.
    return distance * (distance / (hypotenuse + c))


@final
class L1(Metric):
    """The metric `l1`."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return pixel_mean(difference(estimate=estimate, target=target).abs())


@final
class SquaredL2(Metric):
    """The metric `l2`."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return pixel_mean(difference(estimate=estimate, target=target).square())


@final
class PseudoHuber(Metric):
    """The metric `pseudo-huber`: the norm with its corner at 0 rounded off."""

    def __init__(self, options: PseudoHuberOptions) -> None:
        self._c = options.c

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        difference_BCHW = difference(estimate=estimate, target=target)
        norm_B = torch.linalg.vector_norm(difference_BCHW.flatten(1), dim=1)
        return pseudo_huber(norm_B, c=self._c).to(torch.float32)


@final
class PseudoHuberElementwise(Metric):
    """The metric `pseudo-huber-elementwise`: L1 with its corner at 0 rounded off."""

    def __init__(self, options: PseudoHuberElementwiseOptions) -> None:
        self._c = options.c

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        difference_BCHW = difference(estimate=estimate, target=target)
        return pixel_mean(pseudo_huber(difference_BCHW, c=self._c))
