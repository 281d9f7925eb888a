"""Small parameters of every kind, which optimizers are tried on."""

from typing import Final

import torch
from torch import nn

from dddm.support.noise import generator_for

SHAPES: Final = ((), (7,), (1, 9), (12, 10), (10, 3, 3, 3), (9, 8, 3, 3))
"""A number, a vector, matrices, and kernels of a layer that reads an image and of one within."""


def parameters_of_every_kind(*, dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    """One of each shape, N(0, I), the same each time."""
    generator = generator_for("conformance optimizer")
    return [nn.Parameter(torch.randn(s, generator=generator).to(dtype)) for s in SHAPES]
