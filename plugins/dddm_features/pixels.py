"""The pixels themselves as features: no network, any image."""

import hashlib
from typing import Final, final

from torch import Tensor

from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.images import from_uint8

_WHAT: Final = "pixels: uint8 / 127.5 - 1 in float32, flattened as (C, H, W)"


@final
class Pixels(Features):
    """Images as vectors of C·H·W values in [-1, 1].

    Distances between pixels judge placement and brightness more than what an image shows, so a
    low score here says little; they serve where no learned features fit, and to compare.
    """

    def __init__(self, options: NoOptions) -> None:
        """There is nothing to choose."""
        del options

    @property
    def dimensions(self) -> int | None:
        """None: it follows from the image shape."""
        return None

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of what is done, in words."""
        return hashlib.sha256(_WHAT.encode()).hexdigest()

    def check_shape(self, shape: ImageShape) -> None:
        """Every shape is accepted."""
        del shape

    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, C·H·W), float32, on the CPU, in [-1, 1]."""
        return from_uint8(images.cpu()).flatten(start_dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Vectors (B, C·H·W), float32, on the images' device, with gradient."""
        return images.float().flatten(start_dim=1)
