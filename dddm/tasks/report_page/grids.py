"""Grids of images as they stand in the page: generated ones, and real ones in the same order.

Legend: B images of a grid, N images of the training split.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.dataset import Split
from dddm.support.pictures import grid, png_bytes

COLUMNS: Final = 10
_MOST_COLUMNS: Final = 16
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SIZE_BYTES: Final = slice(16, 24)


@final
@frozen(kw_only=True)
class Picture:
    """A picture that needs no other file.

    Attributes:
        url: its contents as a `data:` URL.
        width: in pixels.
        height: in pixels.
    """

    url: str
    width: int
    height: int
    alt: str


def grid_picture(images: Tensor, *, columns: int, alt: str) -> Picture:
    """A grid of images (B, C, H, W), uint8."""
    picture = picture_of(png_bytes(grid(images, columns=columns)), alt=alt)
    assert picture is not None
    return picture


def picture_in(path: Path, *, alt: str) -> Picture | None:
    """A PNG file; None where it is none."""
    try:
        return picture_of(path.read_bytes(), alt=alt)
    except OSError:
        return None


def picture_of(contents: bytes, *, alt: str) -> Picture | None:
    """The contents of a PNG file; None where they are none."""
    size = contents[_SIZE_BYTES]
    if not contents.startswith(_PNG) or len(size) < 8:  # noqa: PLR2004 - two numbers of 4 bytes
        return None
    return Picture(
        url="data:image/png;base64," + base64.b64encode(contents).decode("ascii"),
        width=int.from_bytes(size[:4], "big"),
        height=int.from_bytes(size[4:], "big"),
        alt=alt,
    )


def columns_for(label: Tensor | None, *, classes: Sequence[str]) -> int:
    """Images in a row: as many as there are classes, where images take those in turn."""
    count = len(classes)
    if label is None or not 1 < count <= _MOST_COLUMNS:
        return COLUMNS
    return count if torch.equal(label, torch.arange(len(label)) % count) else COLUMNS


def real_beside(split: Split, *, label: Tensor | None, count: int) -> Tensor:
    """Training images (B, C, H, W), uint8, B = `count`, with the classes `label`, in that order.

    Those of each class come in the order of the split; where they are fewer than asked for, they
    come again.  Without labels, and for classes without images: the first of the split.
    """
    index_B = torch.arange(count) % len(split)
    label_N = None if label is None else split.labels(torch.arange(len(split)))
    if label is not None and label_N is not None:
        for wanted in label.unique():
            places = (label == wanted).nonzero().squeeze(1)
            found = (label_N == wanted).nonzero().squeeze(1)
            if len(found):
                index_B[places] = found[torch.arange(len(places)) % len(found)]
    return split.images(index_B)
