"""The two scores, each with what real images reach beside it.

Legend: N generated images, D feature dimensions.
"""

from typing import Any, Final, final

from attrs import field, frozen
from torch import Tensor

from dddm.scores.frechet import frechet_distance, statistics_of
from dddm.scores.nearest import (
    CLOSE_QUANTILE,
    close_share,
    close_threshold,
    median,
    nearest_distances,
)
from dddm.scores.record import Floor
from dddm.scores.reference import RESAMPLES, Reference

SMALLEST_SET: Final = 2
"""A Fréchet distance needs a covariance, and that needs two images."""


@final
@frozen(kw_only=True)
class Measurement:
    """A value, its floors, further numbers, and the parameters of the formula."""

    value: float
    floors: tuple[Floor, ...]
    details: dict[str, float] = field(factory=dict)
    formula: dict[str, Any] = field(factory=dict)


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
    if count < SMALLEST_SET:
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
