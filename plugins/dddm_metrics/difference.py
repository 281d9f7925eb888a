"""What the metrics on pixels share.

Legend: B images of C channels, H rows, W columns.
"""

import torch
from torch import Tensor


def difference(*, estimate: Tensor, target: Tensor) -> Tensor:
    """Estimate − target, (B, C, H, W), in float32 or better, whatever precision the two come in.

    Raises:
        ValueError: if the shapes differ: broadcasting would compare the wrong images.
    """
    if estimate.shape != target.shape:
        raise ValueError(
            f"the estimate has shape {tuple(estimate.shape)}, the target {tuple(target.shape)}"
        )
    precision = torch.promote_types(estimate.dtype, target.dtype)
    precision = torch.promote_types(precision, torch.float32)
    return estimate.to(precision) - target.to(precision)


def pixel_mean(value_BCHW: Tensor) -> Tensor:
    """Mean over pixels and channels, (B,), float32."""
    return value_BCHW.flatten(1).mean(dim=1).to(torch.float32)


def round_corner(*, distance: Tensor, c: float) -> Tensor:
    """√(d² + c²) − c, computed as d · d/(√(d² + c²) + c); any shape.

    The difference of two nearly equal numbers would lose all digits where d ≪ c.  The root is a
    hypotenuse, so that c² cannot underflow: the gradient at d = 0 is 0 for every c above 0.
    """
    hypotenuse = torch.hypot(distance, distance.new_full((), c))
    return distance * (distance / (hypotenuse + c))
