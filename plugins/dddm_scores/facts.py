"""What the built-in scores give, and what a reader is told of it.  Imports no torch."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from dddm.interfaces.info import Detail, Measure, ScoreInfo
from dddm_scores.options import InceptionScoreOptions, NeighbourOptions

FRECHET: Final = ScoreInfo(
    measures=(
        Measure(
            name="fd",
            words="Fréchet distance",
            better="less",
            explained="compares mean and covariance of generated and training images; it falls as "
            "there are more images, so compare it only at the same number",
            heading="FD",
            published="fid",
        ),
    ),
)

KERNEL: Final = ScoreInfo(
    measures=(
        Measure(
            name="kid",
            words="Kernel distance",
            better="less",
            explained="compares all moments up to the third, and does not depend on how many "
            "images there are; about 0 cannot be told from the training images",
            heading="kid·10³",
            times=1000,
        ),
    ),
)


def of_splits(options: InceptionScoreOptions) -> ScoreInfo:
    """The Inception Score's, which takes an image for each split."""
    return ScoreInfo(
        measures=(
            Measure(
                name="is",
                words="Inception Score",
                better="more",
                explained="how surely classes are recognised and how evenly they occur; it knows "
                "nothing of the training images",
            ),
        ),
        fewest_images=max(options.splits, 2),
        probabilities=True,
    )


PRECISION_RECALL: Final = (
    Measure(
        name="precision",
        words="Precision",
        better="more",
        explained="share of generated images that lie among training images",
        heading="prec.",
    ),
    Measure(
        name="recall",
        words="Recall",
        better="more",
        explained="share of training images that lie among generated ones",
    ),
)

DENSITY_COVERAGE: Final = (
    Measure(
        name="density",
        words="Density",
        better="more",
        explained="how many training images have a generated one near them, on average; about 1 "
        "for new images of the same kind",
        heading="dens.",
    ),
    Measure(
        name="coverage",
        words="Coverage",
        better="more",
        explained="share of training images with a generated one near them",
        heading="cover.",
    ),
)

AUTHENTICITY: Final = (
    Measure(
        name="authenticity",
        words="Authenticity",
        better="more",
        explained="share of generated images that are farther from their nearest training image "
        "than that one is from the others; copies have 0",
        heading="auth.",
    ),
)


@cache
def of_neighbours(measures: tuple[Measure, ...]) -> Callable[[NeighbourOptions], ScoreInfo]:
    """Facts of scores that take k neighbours of each image, beside the image itself."""

    def describe(options: NeighbourOptions) -> ScoreInfo:
        return ScoreInfo(measures=measures, fewest_images=options.neighbours + 1)

    return describe


NEAREST: Final = ScoreInfo(
    measures=(
        Measure(
            name="nearest",
            words="Nearest",
            better="neither",
            explained="median distance to the nearest training image; copies have 0, and what is "
            "far above held-out images does not look like the data",
            details=(
                Detail(
                    name="close_share",
                    words="close",
                    explained="share of images nearer to a training image than 99 % of held-out "
                    "images are; 1 % is usual, far more means copying",
                    percent=True,
                ),
            ),
        ),
    ),
    fewest_images=1,
)


@cache
def always(facts: ScoreInfo) -> Callable[[Any], ScoreInfo]:
    """Facts of a score on which its options do not bear."""
    return lambda _options: facts
