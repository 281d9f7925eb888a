"""How far the means of features are apart."""

from collections.abc import Mapping, Sequence
from typing import final

from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.score import Reference, Score


@final
class Means(Score):
    def __init__(self, options: object) -> None:
        pass

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        return {"means": Measurement(value=_apart(generated.features, reference.train))}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        if reference.held_out is None:
            return {}
        value = _apart(reference.held_out, reference.train)
        return {"means": (Floor(name="held-out", value=value, images=len(reference.held_out)),)}


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one.double().mean(0) - other.double().mean(0)).norm())
