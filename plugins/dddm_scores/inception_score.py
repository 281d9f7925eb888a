"""The Inception Score (Salimans et al. 2016): how confident class predictions are, and how varied.

    IS = exp(mean KL(p(y|x) ‖ p(y)))

averaged over splits of the images.  Its floor is the score of as many training images.

Legend: N generated images, K classes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.score import Reference, Score
from dddm.support.noise import generator_for
from dddm_scores import fidelity
from dddm_scores.options import InceptionScoreOptions


@final
class InceptionScore(Score):
    """IS of generated images; more is better."""

    def __init__(self, options: InceptionScoreOptions) -> None:
        self._splits = options.splits

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        del reference
        assert generated.logits is not None, "checked by build_features"
        value, deviation = fidelity.inception_score(generated.logits, splits=self._splits)
        measurement = Measurement(
            value=value,
            details={"deviation_over_splits": deviation},
            formula={
                "splits": self._splits,
                "shuffled": True,
                "seed": fidelity.SEED,
                "precision": "float64",
            },
        )
        return {"is": measurement}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        floors = []
        for name, real in (
            ("training", _some_train_logits(reference, len(generated.features))),
            ("held-out", reference.held_out_logits),
        ):
            if real is not None and len(real) >= self._splits:
                value = reference.cached((__name__, name, len(real), self._splits), self._of(real))
                floors.append(Floor(name=name, value=value, images=len(real)))
        return {"is": tuple(floors)}

    def _of(self, logits: Tensor) -> Callable[[], float]:
        return lambda: fidelity.inception_score(logits, splits=self._splits)[0]


def _some_train_logits(reference: Reference, images: int) -> Tensor | None:
    logits_MK = reference.train_logits
    if logits_MK is None:
        return None
    generator = generator_for("inception floor", images)
    return logits_MK[torch.randperm(len(logits_MK), generator=generator)[:images]]
