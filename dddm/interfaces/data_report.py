"""What `Dataset.check` reports.  Imports no torch."""

from collections.abc import Callable, Mapping
from typing import final

from attrs import field, frozen

ProgressCallback = Callable[[str, int, int], None]
"""Called with a description of the work, the images done so far, and the total.

It may raise, for example because the user asked to stop; the work ends there and can be resumed.
"""


def no_progress(what: str, done: int, total: int) -> None:
    """A `ProgressCallback` that does nothing."""
    del what, done, total


@final
@frozen(kw_only=True)
class Problem:
    """Something wrong with one image or one file.

    Attributes:
        what: what is wrong.
        where: the file, and the row or archive member where it holds several images.
        remedy: what to do, where that is more than "replace or remove the file".
        wrong_size: the image is intact, but its size differs from the others'.
        damaged: the image itself is broken, so that nothing is lost if it is left out.
    """

    what: str
    where: str
    remedy: str | None = None
    wrong_size: bool = False
    damaged: bool = False


@final
@frozen(kw_only=True)
class SplitReport:
    """Number of images in a split, and number of images of each class by name."""

    images: int
    classes: Mapping[str, int] = field(factory=dict)


@final
@frozen(kw_only=True)
class DataReport:
    """Result of checking a data set.

    Attributes:
        shape: of the images, as text such as 3×32×32; None if no image could be read.
        splits: by name.
        problems: what must be fixed before the data can be used; empty if the data are fine.
        duplicates: groups of images that are equal in every pixel, by name.
        left_out: damaged images that are left out, where the options say so.
        notes: other observations, such as the number of converted images.
        packed: the packed folder that was verified, if there is one.
    """

    shape: str | None
    splits: Mapping[str, SplitReport]
    problems: tuple[Problem, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    left_out: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    packed: str | None = None
