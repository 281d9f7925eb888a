"""A picture whose bytes stand within the page."""

import base64
from typing import final

from attrs import frozen
from PIL import Image

from dddm.support.pictures import png_bytes


@final
@frozen(kw_only=True)
class Picture:
    """A picture within the page.

    Attributes:
        source: a data URI.
    """

    source: str
    width: int
    height: int


def make_picture(drawn: Image.Image) -> Picture:
    """A picture whose contents stand in its address."""
    contents = base64.b64encode(png_bytes(drawn)).decode("ascii")
    return Picture(
        source=f"data:image/png;base64,{contents}", width=drawn.width, height=drawn.height
    )
