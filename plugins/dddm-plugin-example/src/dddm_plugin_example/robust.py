"""Barron's general robust loss (arXiv 1701.03077, eq. 8) as a distance.

    ρ(d; α, c) = |α−2|/α · ( ((d/c)²/|α−2| + 1)^(α/2) − 1 )

Its limits have names: α → 2 is the square, ½(d/c)²; α = 1 is pseudo-Huber divided by c; α → 0 is
Cauchy's log(½(d/c)² + 1); α = −2 is Geman-McClure's, α → −∞ Welsch's 1 − exp(−½(d/c)²).  Below c
all of them are the square; above it, a smaller α pulls less at what is far off.

A small α counts a far estimate for little, so among the images that a noisy x_t may come from it
draws the estimate towards one of them, where the square draws it to their mean.

Legend: B images of C channels, H rows, W columns.
"""

from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm_plugin_example.options import RobustOptions

_NEAR: Final = 1e-7
"""Nearer than this to 2 or 0, or further below 0 than its inverse, α is taken for its limit: the
difference drowns in the rounding of float32."""


def rho(square: Tensor, *, alpha: float) -> Tensor:
    """ρ of (d/c)², any shape; exact for small values too, and smooth at 0."""
    if alpha > 2 - _NEAR:
        return square / 2
    if abs(alpha) < _NEAR:
        return torch.log1p(square / 2)
    if alpha < -1 / _NEAR:
        return -torch.expm1(-square / 2)
    b = 2 - alpha
    # The power less 1, of a base near 1, would lose all digits where d ≪ c.
    return (b / alpha) * torch.expm1((alpha / 2) * torch.log1p(square / b))


@final
class Robust(Metric):
    """ρ of each image's norm, or the mean of ρ over its pixels."""

    def __init__(self, options: RobustOptions) -> None:
        self._options = options

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """ρ(‖a − b‖), or the mean over pixels of ρ(a − b): (B,), float32.

        Raises:
            ValueError: if the shapes differ: broadcasting would compare the wrong images.
        """
        if estimate.shape != target.shape:
            raise ValueError(
                f"the estimate has shape {tuple(estimate.shape)}, the target {tuple(target.shape)}"
            )
        options = self._options
        # Differences of half-precision numbers are taken in float32, those of float64 in float64.
        precision = torch.promote_types(estimate.dtype, torch.float32)
        difference_BCHW = estimate.to(precision) - target.to(precision)
        square_BD = (difference_BCHW / options.c).square().flatten(1)
        if options.of == "image":
            rho_B = rho(square_BD.sum(dim=1), alpha=options.alpha)
        else:
            rho_B = rho(square_BD, alpha=options.alpha).mean(dim=1)
        return rho_B.float()
