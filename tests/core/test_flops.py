"""FLOPs of a network against numbers worked out by hand.

Legend: B images, C channels, H rows, W columns, N = H·W places.
"""

from typing import Any, final

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dddm.core.flops import Flops, count_flops
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape

SHAPE = ImageShape(channels=2, height=4, width=6)
PLACES = 24


@final
class Toy(Backbone):
    """A 3×3 convolution of x_t to begin, attention of the sum to itself to refine."""

    def __init__(self, *, classes: int = 0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 2, kernel_size=3, padding=1)
        self.label = nn.Embedding(classes, 2) if classes else None

    @property
    def uses_labels(self) -> bool:
        """Whether there are classes."""
        return self.label is not None

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        h_BCHW: Tensor = self.convolution(x_t) + t[:, None, None, None]
        if self.label is None:
            return h_BCHW
        assert label is not None
        label_BC: Tensor = self.label(label)
        return h_BCHW + label_BC[:, :, None, None]

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        h_B1NC: Tensor = (cache + estimate).flatten(2).mT[:, None]
        attended: Tensor = functional.scaled_dot_product_attention(h_B1NC, h_B1NC, h_B1NC)
        return attended.mT.reshape(estimate.shape)


@pytest.mark.parametrize("classes", [0, 3])
def test_begin_and_refine_are_counted_apart(classes: int) -> None:
    """18 products a value for the convolution; for attention two products of N×2 by N×N."""
    with torch.device("meta"):
        toy = Toy(classes=classes)
    convolution, attention = 2 * 18 * 2 * PLACES, 2 * (2 * PLACES * PLACES * 2)
    flops = count_flops(toy, shape=SHAPE)
    assert flops == Flops(begin=convolution, refine=attention)
    assert flops.forward == convolution + attention
