"""Images averaged down to 8×8 as features: no network, any image, and few enough dimensions."""

import hashlib
from typing import Final, final

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.images import from_uint8

_SIDE: Final = 8
_WHAT: Final = "pixels: uint8 / 127.5 - 1 in float32, adaptive average to 8x8, flattened (C, H, W)"


@final
class Pixels8x8(Features):
    """Vectors of C·64 values in [-1, 1]: each the mean of the part of the image that it stands for.

    They hold composition, brightness and colour, and nothing of what an image shows.  Colour images
    have 192 of them whatever their size, where 64×64 pixels would be 12,288.
    Smaller images are repeated up to 8×8.
    """

    def __init__(self, options: NoOptions) -> None:
        """There is nothing to choose."""
        del options

    @property
    def dimensions(self) -> int | None:
        """None: it follows from the number of channels."""
        return None

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of what is done, in words."""
        return hashlib.sha256(_WHAT.encode()).hexdigest()

    def check_shape(self, shape: ImageShape) -> None:
        """Every shape is accepted."""
        del shape

    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, C·64), float32, on the CPU, in [-1, 1]."""
        return adaptive_avg_pool2d(from_uint8(images.cpu()), _SIDE).flatten(start_dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Vectors (B, C·64), float32, on the images' device, with gradient."""
        return adaptive_avg_pool2d(images.float(), _SIDE).flatten(start_dim=1)
