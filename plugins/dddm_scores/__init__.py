"""Registration and descriptions of the built-in scores.  Imports no torch."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from dddm.interfaces.info import Detail, Measure, ScoreInfo
from dddm.interfaces.plugin import Conformance, Kind, NoOptions, Registrar, hookimpl
from dddm_scores.options import (
    InceptionScoreOptions,
    KernelOptions,
    NeighbourOptions,
    check_neighbours,
)

FRECHET: Final = ScoreInfo(
    measures=(
        Measure(
            name="fd",
            words="Fréchet distance",
            better="less",
            explained="compares mean and covariance of generated and training images; it falls "
            "with the number of images, so compare it only at the same number",
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
            explained="compares all moments up to the third, independent of the number of "
            "images; about 0 is indistinguishable from the training images",
            heading="kid·10³",
            times=1000,
        ),
    ),
)


def _inception_score(options: InceptionScoreOptions) -> ScoreInfo:
    return ScoreInfo(
        measures=(
            Measure(
                name="is",
                words="Inception Score",
                better="more",
                explained="how confidently classes are recognised and how evenly they occur; "
                "it does not use the training images",
            ),
        ),
        fewest_images=max(options.splits, 2),  # one for each split
        logits=True,
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
        fidelity=False,
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
        fidelity=False,
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
        fidelity=False,
    ),
)


@cache  # equal registrations compare equal
def _neighbours(measures: tuple[Measure, ...]) -> Callable[[NeighbourOptions], ScoreInfo]:
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

DISTINCT_NEAREST: Final = ScoreInfo(
    measures=(
        Measure(
            name="distinct-nearest",
            words="Distinct nearest",
            better="more",
            explained="distinct nearest training images, as a share of the images; samples that "
            "repeat themselves have few; it falls with the number of images",
            heading="distinct",
            fidelity=False,
        ),
    ),
    fewest_images=1,
)

DIVERSITY: Final = ScoreInfo(
    measures=(
        Measure(
            name="diversity",
            words="Diversity",
            better="neither",
            explained="root mean square distance between two images of a class, relative to "
            "training images; 1 is as real, 0 one image for each class, more than 1 too varied",
            heading="divers.",
            fidelity=False,
        ),
    ),
)

SPREAD: Final = ScoreInfo(
    measures=tuple(
        Measure(
            name=f"{name}-spread",
            words=f"Spread of {what}",
            better="neither",
            explained=f"standard deviation of {explained} within a class, relative to training "
            "images; 1 is as real",
            heading=f"σ {name[:5]}",
            fidelity=False,
        )
        for name, what, explained in (
            ("mean", "brightness", "the mean of an image's values"),
            ("contrast", "contrast", "the standard deviation of an image's values"),
            ("edges", "edges", "the mean squared difference of neighbouring values"),
        )
    ),
)


@cache
def _always(facts: ScoreInfo) -> Callable[[Any], ScoreInfo]:
    return lambda _options: facts


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in scores."""
    registrar.add(
        Kind.SCORE,
        "fd",
        target="dddm_scores.frechet:FrechetDistance",
        options=NoOptions,
        summary="Fréchet distance: mean and covariance of features; FID in Inception's.",
        describe=_always(FRECHET),
        default=True,
    )
    registrar.add(
        Kind.SCORE,
        "kid",
        target="dddm_scores.kernel:KernelDistance",
        options=KernelOptions,
        summary="Kernel distance (KID), without bias from the number of images.",
        describe=_always(KERNEL),
        conformance=Conformance(examples=({}, {"subsets": 3, "subset_images": 20})),
    )
    registrar.add(
        Kind.SCORE,
        "is",
        target="dddm_scores.inception_score:InceptionScore",
        options=InceptionScoreOptions,
        summary="Inception Score, of features that give logits of classes.",
        describe=_inception_score,
        conformance=Conformance(examples=({}, {"splits": 2})),
    )
    for name, target, measures, summary in (
        (
            "precision-recall",
            "precision_recall",
            PRECISION_RECALL,
            "Precision and recall: which images lie among those of the other set.",
        ),
        (
            "density-coverage",
            "density_coverage",
            DENSITY_COVERAGE,
            "Density and coverage: how many training images have generated ones near.",
        ),
        (
            "authenticity",
            "authenticity",
            AUTHENTICITY,
            "Share of images farther from their nearest training image than copies are.",
        ),
    ):
        registrar.add(
            Kind.SCORE,
            name,
            target=f"dddm_scores.neighbourhoods:{target}",
            options=NeighbourOptions,
            check=check_neighbours,
            summary=summary,
            describe=_neighbours(measures),
            conformance=Conformance(examples=({}, {"neighbours": 5, "training_images": 30})),
        )
    registrar.add(
        Kind.SCORE,
        "nearest",
        target="dddm_scores.nearest:Nearest",
        options=NoOptions,
        summary="Distance to the nearest training image, as a check on copying.",
        describe=_always(NEAREST),
        default=True,
    )
    for name, target, facts, summary in (
        (
            "distinct-nearest",
            "distinct_nearest:DistinctNearest",
            DISTINCT_NEAREST,
            "Share of distinct training images among those nearest to the samples.",
        ),
        (
            "diversity",
            "within_class:Diversity",
            DIVERSITY,
            "How much images of a class differ in features, relative to real ones.",
        ),
        (
            "spread",
            "within_class:Spread",
            SPREAD,
            "How much brightness, contrast and edges vary within a class, relative to real ones.",
        ),
    ):
        registrar.add(
            Kind.SCORE,
            name,
            target=f"dddm_scores.{target}",
            options=NoOptions,
            summary=summary,
            describe=_always(facts),
        )
