"""Convert images between uint8 in 0…255 and float32 in [-1, 1]."""

import torch
from torch import Tensor


def from_uint8(images: Tensor) -> Tensor:
    """uint8 0…255 → float32 in [-1, 1]; any shape."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] → uint8, clamped and *rounded*; any shape.

    Truncating instead would shift the mean by half a level, which is visible in a Fréchet distance.
    """
    return images.add(1.0).mul_(127.5).round_().clamp_(0.0, 255.0).to(torch.uint8)
