"""The scores, each with what real images reach beside it.

Legend: N generated images, K held-out ones, D feature dimensions.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, final

from attrs import field, frozen
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.scores import fidelity
from dddm.scores.frechet import frechet_distance, statistics_of
from dddm.scores.kernel import kernel_distance
from dddm.scores.kinds import FEWEST, IS_SPLITS, NEIGHBOURS, Metric
from dddm.scores.nearest import (
    CLOSE_QUANTILE,
    close_share,
    close_threshold,
    median,
    nearest_distances,
)
from dddm.scores.neighbourhoods import (
    NeighbourhoodScores,
    compare_neighbourhoods,
    neighbourhoods_of,
)
from dddm.scores.record import Floor
from dddm.scores.reference import RESAMPLES, Reference

_KID_SUBSET: Final = 1000
"""torch-fidelity's; fewer where there are fewer images."""
_NEIGHBOURHOOD_SCORES: Final[dict[Metric, tuple[str, ...]]] = {
    "precision-recall": ("precision", "recall"),
    "density-coverage": ("density", "coverage"),
    "authenticity": ("authenticity",),
}


@final
@frozen(kw_only=True)
class Measurement:
    """A value, its floors, further numbers, and the parameters of the formula."""

    value: float
    floors: tuple[Floor, ...]
    details: dict[str, float] = field(factory=dict)
    formula: dict[str, Any] = field(factory=dict)


def measure(
    metrics: Iterable[Metric], *, generated: Extraction, reference: Reference
) -> Iterator[tuple[str, Measurement]]:
    """The scores of generated images by name, in the order of `metrics`.

    What needs distances between all images takes them once for all that need them.

    Raises:
        DataError: if a feature is not finite.
    """
    lying: NeighbourhoodScores | None = None
    for metric in metrics:
        if metric in _NEIGHBOURHOOD_SCORES:
            if lying is None:
                lying = compare_neighbourhoods(
                    neighbourhoods_of(generated.features), reference.train_neighbourhoods
                )
            for name in _NEIGHBOURHOOD_SCORES[metric]:
                yield name, _of_neighbourhoods(name, lying, reference)
        elif metric == "is":
            assert generated.logits is not None, "features without logits are refused before"
            yield metric, measure_inception(generated.logits, reference)
        else:
            yield metric, _DISTANCES[metric](generated.features, reference)


def measure_frechet(generated: Tensor, reference: Reference) -> Measurement:
    """FD of generated features (N, D), N ≥ 2, to the training set's; less is better.

    Raises:
        DataError: if a feature is not finite.
    """
    value = frechet_distance(statistics_of(generated), reference.train_statistics)
    count = len(generated)
    floors = [
        Floor(name="resample", value=reference.resample_distance(count), images=count),
        *_held_out_floor(generated, reference),
    ]
    formula = {"precision": "float64", "ddof": 1, "resamples": RESAMPLES}
    return Measurement(value=value, floors=tuple(floors), formula=formula)


def _held_out_floor(generated: Tensor, reference: Reference) -> list[Floor]:
    """FD of held-out images, beside that of as many generated ones: FD depends on the count."""
    if reference.held_out is None:
        return []
    count = min(len(reference.held_out), len(generated))
    if count < FEWEST["fd"]:
        return []
    held_out, first_generated = (
        frechet_distance(statistics_of(features_ND), reference.train_statistics)
        for features_ND in (reference.some_held_out(count), generated[:count])
    )
    return [Floor(name="held-out", value=held_out, images=count, generated_value=first_generated)]


def measure_nearest(generated: Tensor, reference: Reference) -> Measurement:
    """Median distance of generated features (N, D) to the nearest training image's.

    Far below the held-out images' own median, the samples are copies; far above it, they do not
    look like the data.
    """
    distance_N = nearest_distances(query=generated, reference=reference.train)
    value = median(distance_N)
    formula: dict[str, Any] = {"distance": "euclidean", "precision": "float64"}
    held_out_K = reference.held_out_nearest
    if held_out_K is None or len(held_out_K) == 0:
        return Measurement(value=value, floors=(), formula=formula)
    held_out_median = median(held_out_K)
    return Measurement(
        value=value,
        floors=(Floor(name="held-out", value=held_out_median, images=len(held_out_K)),),
        details={
            "held_out_median": held_out_median,
            "close_threshold": close_threshold(held_out_K),
            "close_share": close_share(generated_N=distance_N, held_out_N=held_out_K),
        },
        formula={**formula, "close_quantile": CLOSE_QUANTILE},
    )


def measure_kernel(generated: Tensor, reference: Reference) -> Measurement:
    """KID of generated features (N, D), N ≥ 2, to the training set's; less is better.

    It has no bias: its expectation does not depend on how many images there are.
    """
    value, deviation, subset = _kernel(generated, reference)
    floors = []
    if reference.held_out is not None and len(reference.held_out) >= FEWEST["kid"]:
        floor, _, _ = _kernel(reference.held_out, reference)
        floors = [Floor(name="held-out", value=floor, images=len(reference.held_out))]
    return Measurement(
        value=value,
        floors=tuple(floors),
        details={"deviation_over_subsets": deviation},
        formula={
            "kernel": "(xy/D + 1)³",
            "subsets": fidelity.KID_SUBSETS,
            "subset_images": subset,
            "seed": fidelity.SEED,
            "precision": "float64",
        },
    )


def _kernel(features: Tensor, reference: Reference) -> tuple[float, float, int]:
    subset = min(_KID_SUBSET, len(features), len(reference.train))
    return (*kernel_distance(features, reference.train, subset=subset), subset)


def measure_inception(logits: Tensor, reference: Reference) -> Measurement:
    """Inception Score of generated logits (N, classes), N ≥ 10; more is better.

    It knows nothing of the training images; theirs stands beside it, at the same count.
    """
    value, deviation = fidelity.inception_score(logits)
    floors = []
    for name, real in (
        ("training", reference.some_train_logits(len(logits))),
        ("held-out", reference.held_out_logits),
    ):
        if real is not None and len(real) >= FEWEST["is"]:
            score, _ = fidelity.inception_score(real)
            floors.append(Floor(name=name, value=score, images=len(real)))
    return Measurement(
        value=value,
        floors=tuple(floors),
        details={"deviation_over_splits": deviation},
        formula={
            "splits": IS_SPLITS,
            "shuffled": True,
            "seed": fidelity.SEED,
            "precision": "float64",
        },
    )


def _of_neighbourhoods(name: str, lying: NeighbourhoodScores, reference: Reference) -> Measurement:
    floors = []
    held_out = reference.held_out_neighbourhood_scores
    if held_out is not None and reference.held_out is not None:
        floor: float = getattr(held_out, name)
        floors = [Floor(name="held-out", value=floor, images=len(reference.held_out))]
    value: float = getattr(lying, name)
    return Measurement(
        value=value,
        floors=tuple(floors),
        formula={
            "neighbours": NEIGHBOURS,
            "training_images": len(reference.train_neighbourhoods.features),
            "distance": "euclidean",
            "precision": "float64",
        },
    )


_DISTANCES: Final = {"fd": measure_frechet, "kid": measure_kernel, "nearest": measure_nearest}
