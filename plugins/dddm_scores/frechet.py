"""The Fréchet distance between two sets of features (Heusel et al. 2017, eq. 6).

    FD = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

It depends on how many images there are, so its floors do too: each is taken over as many real
images as there are generated ones, or stands beside as many generated ones.

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
from dddm.support.moments import Statistics, statistics_of
from dddm.support.noise import generator_for
from dddm_scores import fidelity

RESAMPLES: Final = 5
"""One resample's distance varies by half of itself; the mean of five is steadier."""
_FEWEST: Final = 2


def frechet_distance(one: Statistics, other: Statistics) -> float:
    """FD between two sets of features: 0 for equal ones, up to rounding, which may go below it."""
    return fidelity.frechet(one, other)


@final
class FrechetDistance(Score):
    """FD of generated images to the training set; less is better."""

    def __init__(self, options: NoOptions) -> None:
        """There is nothing to choose."""
        del options

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        """`fd`.

        Raises:
            DataError: if a feature is not finite.
        """
        value = _to_training(generated.features, reference)
        formula = {"precision": "float64", "ddof": 1, "resamples": RESAMPLES}
        return {"fd": Measurement(value=value, formula=formula)}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        """A resample of the training images; and held-out images, beside as many generated ones."""
        features_ND = generated.features
        count = len(features_ND)
        resample = Floor(name="resample", value=resample_distance(reference, count), images=count)
        count = min(0 if reference.held_out is None else len(reference.held_out), count)
        if count < _FEWEST:
            return {"fd": (resample,)}
        held_out = Floor(
            name="held-out",
            value=_to_training(reference.some_held_out(count), reference),
            images=count,
            generated_value=_to_training(features_ND[:count], reference),
        )
        return {"fd": (resample, held_out)}


def _to_training(features: Tensor, reference: Reference) -> float:
    return frechet_distance(statistics_of(features), reference.train_statistics)


def resample_distance(reference: Reference, images: int) -> float:
    """Mean FD of bootstrap resamples, of `images` training images each, to the training set.

    Where features of some training images alone are kept, these are drawn without repetition:
    they are themselves a sample of all.
    """

    def mean() -> float:
        found = [one_resample(reference, images, number) for number in range(RESAMPLES)]
        return sum(found) / len(found)

    return reference.once((__name__, "resample", images), mean)


def one_resample(reference: Reference, images: int, number: int) -> float:
    """FD of resample `number`."""
    train_MD = reference.train
    generator = generator_for("resample floor", images, number)
    if reference.images > len(train_MD):
        index = torch.randperm(len(train_MD), generator=generator)[:images]
    else:
        index = torch.randint(len(train_MD), (images,), generator=generator)
    return _to_training(train_MD[index], reference)
