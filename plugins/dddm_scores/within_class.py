"""How much images of a class differ, relative to the training images of that class.

    s_c²   = Σᵢ ‖vᵢ − v̄_c‖² / (n_c − 1)      over the n_c generated images i of class c
    r_c²   = the same of the training images of class c
    spread = √( Σ_c (n_c − 1) s_c² / Σ_c (n_c − 1) r_c² )

1 is as real; 0 is one image for each class.  For the score `spread`, v is a simple statistic of
the image; for `diversity` its features: as 2 s_c² is the mean squared distance between two images
of the class, that is the ratio of root mean square distances within a class.

Without labels, or where no class has two images of both sets, all images are one class.

Legend: N generated images, M real ones, S numbers of an image.
"""

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.score import Reference, Score
from dddm.support.image_statistics import IMAGE_STATISTICS

_LEAST: Final = 1e-12
"""Added to both variances: images that do not differ, where real ones do not, are as real."""


@final
class Diversity(Score):
    """Differences within classes in feature space, relative to real."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        value = spread(
            generated.features,
            generated.labels,
            real=reference.train,
            real_labels=reference.train_labels,
        )
        return {"diversity": Measurement(value=value, formula={"precision": "float64"})}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        held_out_KD = reference.held_out
        if held_out_KD is None or len(held_out_KD) < 2:  # noqa: PLR2004 - a variance needs two
            return {}
        labels, train_labels = _both(generated, reference.held_out_labels, reference)
        value = spread(held_out_KD, labels, real=reference.train, real_labels=train_labels)
        return {"diversity": (Floor(name="held-out", value=value, images=len(held_out_KD)),)}


@final
class Spread(Score):
    """Differences of simple statistics within classes, relative to real."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        real_MS = reference.train_image_statistics
        assert generated.image_statistics is not None, "added by every extraction of dddm"
        assert real_MS is not None, "added by every extraction of dddm"
        return {
            f"{name}-spread": Measurement(
                value=spread(
                    generated.image_statistics[:, k : k + 1],
                    generated.labels,
                    real=real_MS[:, k : k + 1],
                    real_labels=reference.train_labels,
                ),
                formula={"precision": "float64"},
            )
            for k, name in enumerate(IMAGE_STATISTICS)
        }

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        held_out_KS, real_MS = (
            reference.held_out_image_statistics,
            reference.train_image_statistics,
        )
        if held_out_KS is None or real_MS is None or len(held_out_KS) < 2:  # noqa: PLR2004
            return {}
        labels, train_labels = _both(generated, reference.held_out_labels, reference)
        floors = {}
        for k, name in enumerate(IMAGE_STATISTICS):
            column = slice(k, k + 1)
            value = spread(
                held_out_KS[:, column], labels, real=real_MS[:, column], real_labels=train_labels
            )
            floors[f"{name}-spread"] = (
                Floor(name="held-out", value=value, images=len(held_out_KS)),
            )
        return floors


def _both(
    generated: Extraction, labels: Tensor | None, reference: Reference
) -> tuple[Tensor | None, Tensor | None]:
    """Labels of held-out and of training images; none where the generated ones have none."""
    return (None, None) if generated.labels is None else (labels, reference.train_labels)


def spread(
    values: Tensor, labels: Tensor | None, *, real: Tensor, real_labels: Tensor | None
) -> float:
    """The ratio of the module's equations, of numbers (N, S) and of real images' (M, S).

    Args:
        labels: (N,), int64, or None.
        real_labels: (M,), int64, or None.
    """
    if labels is None or real_labels is None:
        labels, real_labels = values.new_zeros(len(values)), real.new_zeros(len(real))
    found = [
        (len(own) - 1, _variance(own), _variance(others))
        for label in set(labels.tolist())
        for own, others in ((values[labels == label], real[real_labels == label]),)
        if min(len(own), len(others)) > 1
    ]
    if not found:
        return spread(values, None, real=real, real_labels=None)
    weight = sum(degrees for degrees, _, _ in found)
    s2 = sum(degrees * own for degrees, own, _ in found) / weight
    r2 = sum(degrees * others for degrees, _, others in found) / weight
    return float(((s2 + _LEAST) / (r2 + _LEAST)) ** 0.5)


def _variance(values_nS: Tensor) -> float:
    return float(torch.var(values_nS.double(), dim=0).sum())
