"""What is known of the images before any is read.  Imports no torch."""

from typing import final

from attrs import frozen


@final
@frozen(kw_only=True)
class ImageShape:
    """Channels, height and width of one image, in pixels."""

    channels: int
    height: int
    width: int

    @property
    def as_tuple(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.height, self.width)

    @property
    def values(self) -> int:
        """How many numbers one image holds: C·H·W."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}×{self.height}×{self.width}"


@final
@frozen(kw_only=True)
class DataFacts:
    """What a data set can say of itself without reading an image.

    Attributes:
        shape: the shape that all images share.
        train_images: how many images the training split has.
        classes: names of the classes, in the order of their labels; empty where there are none.
    """

    shape: ImageShape
    train_images: int
    classes: tuple[str, ...] = ()
