"""Images as uint8 in 0…255, as float32 in [-1, 1], and as Pillow images, grids and PNG files."""

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_SMALLEST_CELL_PIXELS = 32


def from_uint8(images: Tensor) -> Tensor:
    """uint8 0…255 → float32 in [-1, 1]; any shape."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] → uint8, clamped and *rounded*; any shape.

    Truncating instead would shift the mean by half a level, which is visible in a Fréchet distance.
    """
    return images.add(1.0).mul_(127.5).round_().clamp_(0.0, 255.0).to(torch.uint8)


def picture(image: Tensor, *, scale: int = 1) -> Image.Image:
    """Render one image (C, H, W), each pixel as a square of `scale` × `scale`."""
    pixels_HWC = image.permute(1, 2, 0).contiguous().numpy()
    drawn = Image.fromarray(pixels_HWC.squeeze(-1) if pixels_HWC.shape[-1] == 1 else pixels_HWC)
    return drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST)


def grid(images: Tensor, *, columns: int | None = None, gap: int = 1) -> Image.Image:
    """Render images side by side, row by row; small ones are enlarged by a whole factor.

    Args:
        images: (B, C, H, W), uint8.
        columns: images per row; None for a nearly square grid.
        gap: pixels between images, before enlarging.
    """
    count, channels, height, width = images.shape
    columns = columns or max(1, math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 128, np.uint8
    )
    for k, image_HWC in enumerate(images.permute(0, 2, 3, 1).numpy()):
        top = gap + (k // columns) * (height + gap)
        left = gap + (k % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image_HWC
    drawn = Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet)
    scale = max(1, _SMALLEST_CELL_PIXELS // max(height, width))
    return drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST)


def png_bytes(drawn: Image.Image) -> bytes:
    """Encode as PNG."""
    buffer = io.BytesIO()
    drawn.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
