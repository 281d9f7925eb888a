"""The Fréchet distance between two sets of features (Heusel et al. 2017, eq. 6).

    FD = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

It depends on the number of images, so a floor uses as many real images as were generated, or
comes with the distance of as many generated ones.

Legend: N generated images, M training images, D feature dimensions.
"""

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.score import Reference, Score
from dddm.support.moments import statistics_of
from dddm.support.noise import generator_for
from dddm_scores.fidelity import frechet_distance

RESAMPLES: Final = 5
"""The distance of a single resample varies by half of its value."""
_FEWEST: Final = 2


@final
class FrechetDistance(Score):
    """FD of generated images to the training set; less is better."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        value = _to_training(generated.features, reference)
        formula = {"precision": "float64", "ddof": 1, "resamples": RESAMPLES}
        return {"fd": Measurement(value=value, formula=formula)}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        features_ND = generated.features
        count = len(features_ND)
        resample = Floor(name="resample", value=resample_distance(reference, count), images=count)
        count = min(0 if reference.held_out is None else len(reference.held_out), count)
        if count < _FEWEST:
            return {"fd": (resample,)}
        held_out = Floor(
            name="held-out",
            value=_to_training(reference.sample_held_out(count), reference),
            images=count,
            generated_value=_to_training(features_ND[:count], reference),
        )
        return {"fd": (resample, held_out)}


def _to_training(features: Tensor, reference: Reference) -> float:
    return frechet_distance(statistics_of(features), reference.train_statistics)


def resample_distance(reference: Reference, images: int) -> float:
    """Mean FD of bootstrap resamples, of `images` training images each, to the training set.

    If only the features of a random sample are kept, resamples of it are without replacement.
    """

    def mean() -> float:
        found = [one_resample(reference, images, number) for number in range(RESAMPLES)]
        return sum(found) / len(found)

    return reference.cached((__name__, "resample", images), mean)


def one_resample(reference: Reference, images: int, number: int) -> float:
    train_MD = reference.train
    generator = generator_for("resample floor", images, number)
    if reference.images > len(train_MD):
        index = torch.randperm(len(train_MD), generator=generator)[:images]
    else:
        index = torch.randint(len(train_MD), (images,), generator=generator)
    return _to_training(train_MD[index], reference)
