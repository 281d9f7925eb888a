"""Grids of samples side by side, each under its caption; for the pictures of the documentation."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

MARGIN, CAPTION = 12, 26


def first_samples(run: Path, name: str, *, count: int) -> torch.Tensor:
    """The first images of a set of samples of a run, (N, C, H, W), uint8: not the best."""
    with np.load(run / "samples" / name / "samples.npz") as contents:
        return torch.from_numpy(contents["arr_0"][:count]).permute(0, 3, 1, 2)


def sheet(panels: dict[str, Image.Image], *, columns: int) -> Image.Image:
    """Pictures of one size, by caption, in rows of `columns`."""
    width, height = next(iter(panels.values())).size
    rows = -(-len(panels) // columns)
    page = Image.new(
        next(iter(panels.values())).mode,
        (columns * (width + MARGIN) + MARGIN, rows * (height + CAPTION + MARGIN) + MARGIN),
        "white",
    )
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=17)
    for place, (caption, panel) in enumerate(panels.items()):
        left = MARGIN + (place % columns) * (width + MARGIN)
        top = MARGIN + (place // columns) * (height + CAPTION + MARGIN)
        pen.text((left, top), caption, fill="black", font=font)
        page.paste(panel, (left, top + CAPTION))
    return page
