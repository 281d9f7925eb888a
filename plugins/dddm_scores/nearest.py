"""Distances to the nearest training image in feature space: a check for copies.

Legend: N query images, M reference images, D feature dimensions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.score import Reference, Score

CLOSE_QUANTILE: Final = 0.01
"""An image is close if it is nearer to a training image than 99 % of held-out images are."""

_BLOCK_IMAGES = 1024


@final
class Nearest(Score):
    """Median distance of generated images to the nearest training image.

    Far below the median of held-out images, samples are copies; far above, they do not resemble
    the data.
    """

    def __init__(self, options: NoOptions) -> None:
        del options

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        distance_N, _ = nearest_of(generated, reference)
        formula: dict[str, Any] = {"distance": "euclidean", "precision": "float64"}
        held_out_K = held_out_nearest(reference)
        if held_out_K is None or len(held_out_K) == 0:
            return {"nearest": Measurement(value=_quantile(distance_N, 0.5), formula=formula)}
        measurement = Measurement(
            value=_quantile(distance_N, 0.5),
            details={
                "held_out_median": _quantile(held_out_K, 0.5),
                "close_threshold": _quantile(held_out_K, CLOSE_QUANTILE),
                "close_share": close_share(generated_N=distance_N, held_out_N=held_out_K),
            },
            formula={**formula, "close_quantile": CLOSE_QUANTILE},
        )
        return {"nearest": measurement}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        del generated
        held_out_K = held_out_nearest(reference)
        if held_out_K is None or len(held_out_K) == 0:
            return {}
        value = _quantile(held_out_K, 0.5)
        return {"nearest": (Floor(name="held-out", value=value, images=len(held_out_K)),)}


def nearest_of(generated: Extraction, reference: Reference) -> tuple[Tensor, Tensor]:
    """Distance to the nearest training image (N,), float64, and which it is (N,), int64."""
    return generated.cached(
        (__name__, "generated", reference),
        lambda: nearest_images(query=generated.features, reference=reference.train),
    )


def held_out_nearest(reference: Reference) -> Tensor | None:
    """Distance of each held-out image to the nearest training image, (K,), float64."""
    held_out_KD = reference.held_out
    if held_out_KD is None:
        return None
    return reference.cached(
        (__name__, "held-out"),
        lambda: nearest_distances(query=held_out_KD, reference=reference.train),
    )


def nearest_distances(*, query: Tensor, reference: Tensor, block: int = _BLOCK_IMAGES) -> Tensor:
    """The distances of `nearest_images`."""
    return nearest_images(query=query, reference=reference, block=block)[0]


def nearest_images(
    *, query: Tensor, reference: Tensor, block: int = _BLOCK_IMAGES
) -> tuple[Tensor, Tensor]:
    """The nearest reference (M, D) to each query (N, D): Euclidean distance and index, (N,).

    Distances are float64, exactly 0 for a query equal to a reference.  Of equally near references
    the first is taken.  At most `block` × `block` distances are in memory at once.
    """
    nearest_N = torch.full((len(query),), torch.inf, dtype=torch.float64)
    index_N = torch.zeros(len(query), dtype=torch.int64)
    for first in range(0, len(query), block):
        rows = slice(first, first + block)
        query_ND = query[rows].double()
        for column in range(0, len(reference), block):
            reference_MD = reference[column : column + block].double()
            # Subtract before squaring: |x|² + |y|² − 2xy loses small distances to rounding.
            distance_NM = torch.cdist(
                query_ND, reference_MD, compute_mode="donot_use_mm_for_euclid_dist"
            )
            least_N, place_N = distance_NM.min(dim=1)
            nearer_N = least_N < nearest_N[rows]
            nearest_N[rows][nearer_N] = least_N[nearer_N]
            index_N[rows][nearer_N] = place_N[nearer_N] + column
    return nearest_N, index_N


def close_share(*, generated_N: Tensor, held_out_N: Tensor) -> float:
    """Share of generated images nearer to a training image than 99 % of held-out images are.

    New images of the same distribution give about 0.01, copies of training images 1.

    Args:
        generated_N: nearest distances of generated images, float64.
        held_out_N: nearest distances of held-out images, float64.
    """
    return float((generated_N < _quantile(held_out_N, CLOSE_QUANTILE)).double().mean())


def _quantile(distance_N: Tensor, share: float) -> float:
    return float(torch.quantile(distance_N, share))
