"""How many training images are the nearest of some generated image, in feature space.

    distinct = |{ nearest training image of x : generated images x }| / N

Samples that repeat themselves have few nearest images.  The share falls with N, so the floor is
that of held-out images, with the share of as many generated ones.

Legend: N generated images.
"""

from collections.abc import Mapping, Sequence
from typing import Final, final

from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.score import Reference, Score
from dddm_scores.nearest import nearest_images, nearest_of

_NAME: Final = "distinct-nearest"


@final
class DistinctNearest(Score):
    """Distinct nearest training images, as a share of the generated images."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        _, index_N = nearest_of(generated, reference)
        formula = {"distance": "euclidean", "precision": "float64"}
        return {_NAME: Measurement(value=distinct_share(index_N), formula=formula)}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        count = min(
            0 if reference.held_out is None else len(reference.held_out), len(generated.features)
        )
        if count == 0:
            return {}

        def held_out() -> float:
            query = reference.sample_held_out(count)
            return distinct_share(nearest_images(query=query, reference=reference.train)[1])

        _, index_N = nearest_of(generated, reference)
        floor = Floor(
            name="held-out",
            value=reference.cached((__name__, "held-out", count), held_out),
            images=count,
            generated_value=distinct_share(index_N[:count]),
        )
        return {_NAME: (floor,)}


def distinct_share(index_N: Tensor) -> float:
    """The number of different indices, divided by N."""
    return len(set(index_N.tolist())) / len(index_N)
