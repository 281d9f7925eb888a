"""Pixels as features: no network, images of any shape."""

import hashlib
from typing import Final, final

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.images import from_uint8

_PIXELS: Final = "pixels: uint8 / 127.5 - 1 in float32, flattened as (C, H, W)"
_PIXELS_8X8: Final = (
    "pixels: uint8 / 127.5 - 1 in float32, adaptive average to 8x8, flattened (C, H, W)"
)


@final
class Pixels(Features):
    """Vectors (B, C·H·W) in [-1, 1].

    Distances between pixels measure placement and brightness more than content, so a low score
    says little; they serve where no learned features fit.
    """

    def __init__(self, options: NoOptions) -> None:
        del options

    @property
    def dimensions(self) -> int | None:
        return None

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(_PIXELS.encode()).hexdigest()

    def check_shape(self, shape: ImageShape) -> None:
        """Every shape is accepted."""

    def extract(self, images: Tensor) -> Tensor:
        return from_uint8(images.cpu()).flatten(start_dim=1)

    def embed(self, images: Tensor) -> Tensor:
        return images.float().flatten(start_dim=1)


@final
class Pixels8x8(Features):
    """Vectors (B, C·64) in [-1, 1]: means over an 8×8 grid of regions.

    They hold composition, brightness and colour, nothing of the content.  Their number does not
    grow with the image: 192 for colour images, where 64×64 pixels have 12,288 values.  Smaller
    images are repeated up to 8×8.
    """

    def __init__(self, options: NoOptions) -> None:
        del options

    @property
    def dimensions(self) -> int | None:
        return None

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(_PIXELS_8X8.encode()).hexdigest()

    def check_shape(self, shape: ImageShape) -> None:
        """Every shape is accepted."""

    def extract(self, images: Tensor) -> Tensor:
        return adaptive_avg_pool2d(from_uint8(images.cpu()), 8).flatten(start_dim=1)

    def embed(self, images: Tensor) -> Tensor:
        return adaptive_avg_pool2d(images.float(), 8).flatten(start_dim=1)
