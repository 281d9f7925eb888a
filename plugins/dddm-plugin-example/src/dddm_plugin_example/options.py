"""Options of both components, and the check of those of `dit`.  Imports no torch."""

from collections.abc import Iterator
from typing import Literal, final

from attrs import frozen

from dddm.interfaces.info import DatasetInfo
from dddm.interfaces.plugin import Issue, RecipeContext, option


@final
@frozen(kw_only=True)
class RobustOptions:
    """Options of `robust`.  c has no default: the right one depends on the images and on `of`."""

    alpha: float = option(
        1.0,
        at_most=2,
        help="How much a large error counts.  2: its square; 1: pseudo-Huber; 0: Cauchy; "
        "-2: Geman-McClure; far below, such as -1e9: Welsch.",
    )
    c: float = option(above=0, help="Scale of errors below which the loss is quadratic.")
    of: Literal["image", "pixel"] = option(
        "image",
        help="Apply ρ to the norm of an image's difference, or to each pixel, and take the mean.",
    )


@final
@frozen(kw_only=True)
class DitOptions:
    """Options of `dit`."""

    patch: int = option(2, at_least=1, help="Height and width of a token, in pixels.")
    width: int = option(64, at_least=4, help="Numbers in a token: a multiple of 4 and of heads.")
    blocks: int = option(4, at_least=1, help="Transformer blocks.")
    heads: int = option(4, at_least=1, help="Heads of each block's attention.")
    estimate_from: int = option(
        1,
        at_least=0,
        help="First block, counted from 0, that attends to x̂.  Those before it are computed once "
        "for all steps of algorithm 2.",
    )
    classes: bool = option(default=False, help="Condition the network on class labels.")


def check_dit(options: DitOptions, context: RecipeContext) -> Iterator[Issue]:
    """Options that do not fit each other or the rest of the recipe."""
    yield from issues(options, context.data)


def issues(options: DitOptions, data: DatasetInfo | None) -> Iterator[Issue]:
    """Options that do not fit each other, or the images if these are known."""
    if options.width % 4:
        yield Issue(
            option="width",
            what=f"{options.width} is not a multiple of 4, as the position embedding needs",
            remedy=f"use {options.width // 4 * 4} or {options.width // 4 * 4 + 4}",
        )
    if options.width % options.heads:
        fitting = [str(n) for n in range(1, options.width + 1) if options.width % n == 0]
        yield Issue(
            option="heads",
            what=f"a width of {options.width} cannot be divided among {options.heads} heads",
            remedy="heads can be " + ", ".join(fitting),
        )
    if options.estimate_from >= options.blocks:
        yield Issue(
            option="estimate_from",
            what=f"with {options.blocks} blocks the estimate would never be used",
            remedy=f"use {options.blocks - 1} or less",
        )
    if data is not None:
        yield from _about_data(options, data)


def _about_data(options: DitOptions, data: DatasetInfo) -> Iterator[Issue]:
    height, width = data.shape.height, data.shape.width
    if height % options.patch or width % options.patch:
        fitting = [
            str(n) for n in range(1, min(height, width) + 1) if height % n == 0 and width % n == 0
        ]
        yield Issue(
            option="patch",
            what=f"images of {height}×{width} pixels cannot be cut into patches of "
            f"{options.patch}×{options.patch}",
            remedy="patch can be " + ", ".join(fitting),
        )
    if options.classes and not data.classes:
        yield Issue(
            option="classes", what="the data set has no classes", remedy="write classes = false"
        )
