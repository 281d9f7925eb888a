"""Distances to the nearest training image in feature space: a check on copying.

Legend: N images that ask, M images to find them in, D feature dimensions.
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
"""Nearer to a training image than 99 % of held-out images are: that is close."""

_BLOCK_IMAGES = 1024


@final
class Nearest(Score):
    """Median distance of generated images to the nearest training image.

    Far below the held-out images' own median, the samples are copies; far above it, they do not
    look like the data.
    """

    def __init__(self, options: NoOptions) -> None:
        """There is nothing to choose."""
        del options

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        """`nearest`, with what held-out images have and the share that is close."""
        distance_N = nearest_distances(query=generated.features, reference=reference.train)
        formula: dict[str, Any] = {"distance": "euclidean", "precision": "float64"}
        held_out_K = held_out_nearest(reference)
        if held_out_K is None or len(held_out_K) == 0:
            return {"nearest": Measurement(value=median(distance_N), formula=formula)}
        measurement = Measurement(
            value=median(distance_N),
            details={
                "held_out_median": median(held_out_K),
                "close_threshold": close_threshold(held_out_K),
                "close_share": close_share(generated_N=distance_N, held_out_N=held_out_K),
            },
            formula={**formula, "close_quantile": CLOSE_QUANTILE},
        )
        return {"nearest": measurement}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        """Of all held-out images."""
        del generated
        held_out_K = held_out_nearest(reference)
        if held_out_K is None or len(held_out_K) == 0:
            return {}
        value = median(held_out_K)
        return {"nearest": (Floor(name="held-out", value=value, images=len(held_out_K)),)}


def held_out_nearest(reference: Reference) -> Tensor | None:
    """Distance of each held-out image to the nearest training image, (K,), float64."""
    held_out_KD = reference.held_out
    if held_out_KD is None:
        return None
    return reference.once(
        (__name__, "held-out"),
        lambda: nearest_distances(query=held_out_KD, reference=reference.train),
    )


def nearest_distances(*, query: Tensor, reference: Tensor, block: int = _BLOCK_IMAGES) -> Tensor:
    """Euclidean distance (N,), float64, of each query (N, D) to the nearest reference (M, D).

    Exactly 0 for a query that stands among the references.  At most `block` × `block` distances
    are in memory at once.
    """
    nearest_N = torch.full((len(query),), torch.inf, dtype=torch.float64)
    blocks = zip(torch.split(nearest_N, block), torch.split(query.double(), block), strict=True)
    for rows, query_ND in blocks:
        for reference_MD in torch.split(reference.double(), block):
            # Differences are taken before squaring: the faster form loses small distances.
            distance_NM = torch.cdist(
                query_ND, reference_MD, compute_mode="donot_use_mm_for_euclid_dist"
            )
            torch.minimum(rows, distance_NM.amin(dim=1), out=rows)
    return nearest_N


def median(distance_N: Tensor) -> float:
    """The median of distances (N,), float64."""
    return float(torch.quantile(distance_N, 0.5))


def close_threshold(held_out_N: Tensor) -> float:
    """The distance below which 1 % of held-out images lie, from theirs (N,), float64."""
    return float(torch.quantile(held_out_N, CLOSE_QUANTILE))


def close_share(*, generated_N: Tensor, held_out_N: Tensor) -> float:
    """Share of generated images nearer to a training image than 99 % of held-out images are.

    New images of the same kind give about 0.01; copies of training images give 1.

    Args:
        generated_N: nearest distances of generated images, (N,), float64.
        held_out_N: nearest distances of held-out real images, float64.
    """
    return float((generated_N < close_threshold(held_out_N)).double().mean())
