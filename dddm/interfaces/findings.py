"""What a look through a data set found.  Imports no torch."""

from collections.abc import Callable, Mapping
from typing import final

from attrs import field, frozen

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many images are done and how many there are.

It may raise, for instance because the user asked to stop: the work ends there and can be resumed.
"""


def silent(what: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""
    del what, done, total


@final
@frozen(kw_only=True)
class Problem:
    """Something wrong with one image or one file.

    Attributes:
        what: what is wrong.
        where: the file, with the row or member where it holds several images.
        remedy: what to do about it, where there is more to say than to mend or remove the file.
        odd_size: whether nothing is wrong but that the image's size is not that of the others.
    """

    what: str
    where: str
    remedy: str | None = None
    odd_size: bool = False


@final
@frozen(kw_only=True)
class SplitFindings:
    """How many images a split has, and how many of each class by its name."""

    images: int
    classes: Mapping[str, int] = field(factory=dict)


@final
@frozen(kw_only=True)
class Findings:
    """What `dddm data check` reports.

    Attributes:
        shape: of all images, as text such as 3×32×32; None where no image could be read.
        splits: by name.
        problems: what must be mended before the data can be used; empty where all is well.
        duplicates: groups of images that are equal in every pixel, by name.
        remarks: what one should know, such as how many images were converted.
        packed: the packed array that was verified; None where there is none.
    """

    shape: str | None
    splits: Mapping[str, SplitFindings]
    problems: tuple[Problem, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    remarks: tuple[str, ...] = ()
    packed: str | None = None
