"""Simple statistics of single images, of values v in [0, 1].

    mean      = mean v
    contrast  = √mean (v − mean)²
    edges     = mean of (v − v′)² over all pairs of horizontal and vertical neighbours v, v′

Legend: B images, C channels, H rows, W columns, P pairs of neighbours.
"""

from typing import Final

import torch
from torch import Tensor

IMAGE_STATISTICS: Final = ("mean", "contrast", "edges")
"""Names of the columns."""


def image_statistics(images: Tensor) -> Tensor:
    """Mean, contrast and edges (B, 3), float32, of images (B, C, H, W), uint8."""
    v_BCHW = images.cpu().float() / 255
    mean_B = v_BCHW.mean(dim=(1, 2, 3))
    contrast_B = (v_BCHW - mean_B.view(-1, 1, 1, 1)).square().mean(dim=(1, 2, 3)).sqrt()
    squares_BP = torch.cat([v_BCHW.diff(dim=dim).flatten(1).square() for dim in (2, 3)], dim=1)
    edges_B = squares_BP.sum(dim=1) / max(squares_BP.shape[1], 1)  # a single pixel has none
    return torch.stack([mean_B, contrast_B, edges_B], dim=1)
