"""Options of the built-in scores.  Imports no torch."""

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

    subsets: int = option(SUBSETS, at_least=1, help="Subsets that it is averaged over.")
    subset_images: int = option(
        SUBSET_IMAGES, at_least=2, help="Images in a subset; fewer where there are fewer."
    )


@final
@frozen(kw_only=True)
class InceptionScoreOptions:
    """Options of `is`."""

    splits: int = option(SPLITS, at_least=1, help="Parts that it is averaged over.")


@final
@frozen(kw_only=True)
class NeighbourOptions:
    """Options of `precision-recall`, `density-coverage` and `authenticity`.

    Scores that have the same options share one computation.
    """

    neighbours: int = option(
        NEIGHBOURS, at_least=1, help="k: a ball reaches to the k-th nearest neighbour."
    )
    training_images: int | None = option(
        None,
        at_least=2,
        help="Training images, sampled at random, that it is taken against; without it all whose "
        "features are kept (at most 50,000).",
    )


def check_neighbours(options: NeighbourOptions, context: RecipeContext) -> Iterator[Issue]:
    """An image among `training_images` has as many others as neighbours."""
    del context
    if options.training_images is not None and options.training_images <= options.neighbours:
        yield Issue(
            option="training_images",
            what=f"{options.training_images} images have no {options.neighbours} neighbours each",
            remedy=f"use {options.neighbours + 1} or more",
        )
