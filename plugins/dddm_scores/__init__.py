"""Built-in scores."""

from dddm.interfaces.plugin import Conformance, Kind, NoOptions, Registrar, hookimpl
from dddm_scores.facts import (
    AUTHENTICITY,
    DENSITY_COVERAGE,
    FRECHET,
    KERNEL,
    NEAREST,
    PRECISION_RECALL,
    always,
    of_neighbours,
    of_splits,
)
from dddm_scores.options import (
    InceptionScoreOptions,
    KernelOptions,
    NeighbourOptions,
    check_neighbours,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in scores."""
    registrar.add(
        Kind.SCORE,
        "fd",
        target="dddm_scores.frechet:FrechetDistance",
        options=NoOptions,
        summary="Fréchet distance: mean and covariance of features; FID in Inception's.",
        describe=always(FRECHET),
        default=True,
    )
    registrar.add(
        Kind.SCORE,
        "kid",
        target="dddm_scores.kernel:KernelDistance",
        options=KernelOptions,
        summary="Kernel distance (KID), without bias from the number of images.",
        describe=always(KERNEL),
        conformance=Conformance(examples=({}, {"subsets": 3, "subset_images": 20})),
    )
    registrar.add(
        Kind.SCORE,
        "is",
        target="dddm_scores.inception_score:InceptionScore",
        options=InceptionScoreOptions,
        summary="Inception Score, of features that give logits of classes.",
        describe=of_splits,
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
            target=f"dddm_scores.lie_among:{target}",
            options=NeighbourOptions,
            check=check_neighbours,
            summary=summary,
            describe=of_neighbours(measures),
            conformance=Conformance(examples=({}, {"neighbours": 5, "training_images": 30})),
        )
    registrar.add(
        Kind.SCORE,
        "nearest",
        target="dddm_scores.nearest:Nearest",
        options=NoOptions,
        summary="Distance to the nearest training image, as a check on copying.",
        describe=always(NEAREST),
        default=True,
    )
