"""Options of the built-in scores."""

from collections.abc import Iterator
from typing import Final, final

from attrs import frozen

from dddm.interfaces.plugin import Issue, RecipeContext, option

NEIGHBOURS: Final = 3
"""k of the papers: a ball reaches to the k-th nearest neighbour."""
SPLITS: Final = 10
"""Of the Inception Score, as in all papers."""
SUBSETS: Final = 100
SUBSET_IMAGES: Final = 1000
"""torch-fidelity's for KID."""


@final
@frozen(kw_only=True)
class KernelOptions:
    """Options of `kid`."""

    subsets: int = option(SUBSETS, at_least=1, help="Number of subsets to average over.")
    subset_images: int = option(
        SUBSET_IMAGES, at_least=2, help="Images in a subset; fewer where there are fewer."
    )


@final
@frozen(kw_only=True)
class InceptionScoreOptions:
    """Options of `is`."""

    splits: int = option(SPLITS, at_least=1, help="Number of parts to average over.")


@final
@frozen(kw_only=True)
class NeighbourOptions:
    """Options of `precision-recall`, `density-coverage` and `authenticity`."""

    neighbours: int = option(
        NEIGHBOURS, at_least=1, help="k: a ball reaches to the k-th nearest neighbour."
    )
    training_images: int | None = option(
        None,
        at_least=2,
        help="Number of training images, sampled at random, to compare with; by default all whose "
        "features are kept (at most 50,000).",
    )


def check_neighbours(options: NeighbourOptions, context: RecipeContext) -> Iterator[Issue]:
    del context
    if options.training_images is not None and options.training_images <= options.neighbours:
        yield Issue(
            option="training_images",
            what=f"{options.training_images} images have too few neighbours each",
            remedy=f"use {options.neighbours + 1} or more",
        )
