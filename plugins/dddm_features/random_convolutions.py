"""Features of a network that nobody trained: fixed random convolutions.

    h ← relu(W * h),  W ~ N(0, 2 / fan-in) from a fixed seed, 3×3, with 32, then 64 channels;
    every layer after the first halves the size, until a side has 7 pixels or fewer;
    features = means over the places of the last h

They come after Naeem et al. 2020 (arXiv 2002.09797), who score images unlike ImageNet's in a VGG16
with random weights.  Nothing is fitted, neither to the images nor to the loss, so that no training
can have fitted them.  They see edges and strokes, their arrangement and its variety; a Gaussian
with the images' own mean and covariance does not pass.  What an image shows, they do not know.

Legend: B images, C channels, H rows, W columns, D features.
"""

import hashlib
import math
from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional

from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.images import from_uint8
from dddm.support.noise import generator_for
from dddm_features.options import require_shape
from dddm_features.precision import full_float32

_VERSION: Final = "random convolutions 1"
"""To be changed with whatever changes the result."""
_WIDTHS: Final = (32, 64)
_SMALL: Final = 7
_AT_A_TIME: Final = 100


@final
class RandomConvolutions(Features):
    """Vectors (B, 64), at least 0."""

    def __init__(self, options: NoOptions) -> None:
        del options
        self._device = torch.device("cpu")

    @property
    def dimensions(self) -> int | None:
        return _WIDTHS[-1]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(_VERSION.encode()).hexdigest()

    def check_shape(self, shape: ImageShape) -> None:
        require_shape("random-convolutions", shape)

    def to(self, device: torch.device) -> None:
        self._device = device

    @torch.no_grad()
    def extract(self, images: Tensor) -> Tensor:
        with full_float32(self._device):
            return torch.cat(
                [
                    self.embed(from_uint8(batch_BCHW.to(self._device))).cpu()
                    for batch_BCHW in torch.split(images, _AT_A_TIME)
                ]
            )

    def embed(self, images: Tensor) -> Tensor:
        h_BCHW, layer = images, 0
        while layer < 2 or min(h_BCHW.shape[2:]) > _SMALL:  # noqa: PLR2004 - one of each width
            weight = random_weight(layer, inputs=h_BCHW.shape[1]).to(h_BCHW.device)
            stride = 2 if layer else 1
            h_BCHW = functional.relu(functional.conv2d(h_BCHW, weight, stride=stride, padding=1))
            layer += 1
        return h_BCHW.mean(dim=(2, 3))


def random_weight(layer: int, *, inputs: int) -> Tensor:
    """Of a layer, counted from 0, (outputs, inputs, 3, 3)."""
    outputs = _WIDTHS[min(layer, len(_WIDTHS) - 1)]
    generator = generator_for("random convolutions", layer, inputs)
    drawn = torch.randn(outputs, inputs, 3, 3, generator=generator)
    return drawn * math.sqrt(2 / (9 * inputs))
