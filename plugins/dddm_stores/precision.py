"""How many bits of an estimate a store keeps: from float32 to rows of bytes, and back.

Legend: B images, C channels, H rows, W columns, V = C·H·W numbers in one image, R bytes in a row.
"""

from abc import ABC, abstractmethod
from typing import Final, final

import torch
from torch import Tensor

from dddm.errors import TrainingFailed

_INT8_LARGEST: Final = 127
_SCALE_BYTES: Final = 4
_FLOAT16_OVERFLOWS: Final = 65520
"""The smallest number that rounds to infinity."""


def _cannot_keep(numbers: str, *, precision: str) -> TrainingFailed:
    return TrainingFailed(
        f"estimates {numbers} cannot be kept in {precision}",
        where="targets",
        remedy="images are in [-1, 1], so training has diverged: use a "
        "smaller learning_rate.rate or set train.gradient_clip = 1.0",
    )


class Precision(ABC):
    """One way of keeping an image's numbers."""

    @abstractmethod
    def row_bytes(self, values: int) -> int:
        """R for V numbers."""

    @abstractmethod
    def encode(self, estimate: Tensor) -> Tensor:
        """Rows (B, R), uint8, on the same device, of estimates (B, C, H, W).

        Raises:
            TrainingFailed: if a number is too large to be kept, or not finite.
        """

    @abstractmethod
    def decode(self, rows: Tensor, *, shape: tuple[int, int, int]) -> Tensor:
        """Estimates (B, C, H, W), float32, of rows (B, R), uint8; may share their memory."""


@final
class Floating(Precision):
    """The numbers as float32, float16 or bfloat16, rounded to nearest.

    float16 is off by at most 2⁻¹¹ |x| + 2⁻²⁵ and refuses |x| ≥ 65520; bfloat16 by 2⁻⁸ |x|.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def row_bytes(self, values: int) -> int:
        return values * self._dtype.itemsize

    def encode(self, estimate: Tensor) -> Tensor:
        given = estimate.detach()
        if self._dtype is torch.float16 and given.numel():
            least, most = (float(bound) for bound in given.aminmax())
            if not (least > -_FLOAT16_OVERFLOWS and most < _FLOAT16_OVERFLOWS):
                raise _cannot_keep(f"between {least:.4g} and {most:.4g}", precision="float16")
        return given.to(self._dtype).flatten(1).contiguous().view(torch.uint8)

    def decode(self, rows: Tensor, *, shape: tuple[int, int, int]) -> Tensor:
        return rows.view(self._dtype).view(-1, *shape).float()


@final
class Int8(Precision):
    """Each image's numbers as multiples of its own scale, max |x| / 127; off by scale/2 at most.

    A row is the V bytes and then the scale as a float32.
    """

    def row_bytes(self, values: int) -> int:
        return values + _SCALE_BYTES

    def encode(self, estimate: Tensor) -> Tensor:
        values_BV = estimate.detach().float().flatten(1)
        largest_B1 = values_BV.abs().amax(dim=1, keepdim=True)
        if not largest_B1.isfinite().all():
            raise _cannot_keep("that are not all finite", precision="8 bits")
        # Never below the smallest normal number: an image of zeros, or nearly so, has a scale too.
        tiny = torch.finfo(torch.float32).tiny
        scale_B1 = (largest_B1 / _INT8_LARGEST).clamp_min(tiny)
        steps_BV = (values_BV / scale_B1).round().to(torch.int8)
        return torch.cat([steps_BV.view(torch.uint8), scale_B1.view(torch.uint8)], dim=1)

    def decode(self, rows: Tensor, *, shape: tuple[int, int, int]) -> Tensor:
        # Always a copy: `contiguous` makes none of a single row, where floats may not begin.
        scale_bytes_B4 = rows[:, -_SCALE_BYTES:].clone(memory_format=torch.contiguous_format)
        scale_B1 = scale_bytes_B4.view(torch.float32)
        steps_BV = rows[:, :-_SCALE_BYTES].view(torch.int8)
        return (steps_BV * scale_B1).view(-1, *shape)
