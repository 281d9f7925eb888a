"""Scores of how generated and training images lie among each other; see `neighbourhoods`.

All of them that have the same options come from one comparison of the two sets.
"""

from collections.abc import Mapping, Sequence
from typing import final

import torch

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.score import Reference, Score
from dddm.support.noise import generator_for
from dddm_scores.neighbourhoods import (
    Neighbourhoods,
    NeighbourhoodScores,
    compare_neighbourhoods,
    neighbourhoods_of,
)
from dddm_scores.options import NeighbourOptions


def precision_recall(options: NeighbourOptions) -> Score:
    """Shares of each set that lie in balls of the other; more is better."""
    return LieAmong(options, names=("precision", "recall"))


def density_coverage(options: NeighbourOptions) -> Score:
    """How densely training images are met, and how many of them; more is better."""
    return LieAmong(options, names=("density", "coverage"))


def authenticity(options: NeighbourOptions) -> Score:
    """Share of images that are farther from their nearest training image than copies are."""
    return LieAmong(options, names=("authenticity",))


@final
class LieAmong(Score):
    """Some of the five numbers; all five are computed once for scores of the same options.

    Args:
        options: of each of these scores.
        names: of the measures that this one gives, fields of `NeighbourhoodScores`.
    """

    def __init__(self, options: NeighbourOptions, *, names: Sequence[str]) -> None:
        self._k = options.neighbours
        self._images = options.training_images
        self._names = names

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        """Of generated images against the training images, or some of them."""
        real = self._of_training(reference)
        found = generated.once(
            (__name__, "compared", self._k, self._images, reference),
            lambda: compare_neighbourhoods(
                neighbourhoods_of(generated.features, neighbours=self._k), real, neighbours=self._k
            ),
        )
        images = len(real.features)
        formula = {
            "neighbours": self._k,
            "training_images": images,
            "distance": "euclidean",
            "precision": "float64",
        }
        return {
            name: Measurement(value=getattr(found, name), formula=formula, training_images=images)
            for name in self._names
        }

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        """Of all held-out images."""
        del generated
        held_out_KD = reference.held_out
        if held_out_KD is None or len(held_out_KD) <= self._k:
            return {}
        found: NeighbourhoodScores = reference.once(
            (__name__, "held-out", self._k, self._images),
            lambda: compare_neighbourhoods(
                neighbourhoods_of(held_out_KD, neighbours=self._k),
                self._of_training(reference),
                neighbours=self._k,
            ),
        )
        return {
            name: (Floor(name="held-out", value=getattr(found, name), images=len(held_out_KD)),)
            for name in self._names
        }

    def _of_training(self, reference: Reference) -> Neighbourhoods:
        """The balls of the training images, or of some of them sampled at random."""

        def compute() -> Neighbourhoods:
            train_MD = reference.train
            if self._images is not None and self._images < len(train_MD):
                generator = generator_for("neighbour images", self._images)
                order = torch.randperm(len(train_MD), generator=generator)
                train_MD = train_MD[order[: self._images]]
            return neighbourhoods_of(train_MD, neighbours=self._k)

        return reference.once((__name__, "training", self._k, self._images), compute)
