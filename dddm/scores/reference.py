"""Real images that samples are measured against, and what is computed of them once."""

from functools import cached_property
from typing import Final, final

import torch
from attrs import define
from torch import Tensor

from dddm.scores.frechet import Statistics, frechet_distance, statistics_of
from dddm.scores.kinds import NEIGHBOURS
from dddm.scores.nearest import nearest_distances
from dddm.scores.neighbourhoods import (
    Neighbourhoods,
    NeighbourhoodScores,
    compare_neighbourhoods,
    neighbourhoods_of,
)
from dddm.support.noise import generator_for

RESAMPLES: Final = 5
"""One resample's distance varies by half of itself; the mean of five is steadier."""


@final
@define(kw_only=True, eq=False, slots=False)
class Reference:
    """Features of real images.

    Attributes:
        train: of the training images, (M, D), or of some of them, drawn by lot.
        held_out: of held-out images, (K, D); None where there are none.
        train_logits: (M, classes); None where the features guess no class.
        held_out_logits: (K, classes), or None.
        statistics: over all training images; None to compute them of `train`.
        train_images: how many these are; None for as many as in `train`.
        neighbour_images: training images whose balls precision and its kin are taken with, drawn
            by lot; None for all of `train`.
    """

    train: Tensor
    held_out: Tensor | None
    train_logits: Tensor | None = None
    held_out_logits: Tensor | None = None
    statistics: Statistics | None = None
    train_images: int | None = None
    neighbour_images: int | None = None

    @property
    def images(self) -> int:
        """How many training images there are."""
        return len(self.train) if self.train_images is None else self.train_images

    @property
    def neighbourhoods(self) -> int:
        """How many training images have balls."""
        kept = len(self.train)
        return kept if self.neighbour_images is None else min(self.neighbour_images, kept)

    def __attrs_post_init__(self) -> None:
        self._resampled: dict[int, float] = {}

    @cached_property
    def train_statistics(self) -> Statistics:
        """Of all training images."""
        return statistics_of(self.train) if self.statistics is None else self.statistics

    @cached_property
    def held_out_nearest(self) -> Tensor | None:
        """Distance of each held-out image to the nearest training image, (K,), float64."""
        if self.held_out is None:
            return None
        return nearest_distances(query=self.held_out, reference=self.train)

    @cached_property
    def train_neighbourhoods(self) -> Neighbourhoods:
        """The balls of the training images, or of the `neighbour_images` of them."""
        if self.neighbour_images is None or self.neighbour_images >= len(self.train):
            return neighbourhoods_of(self.train)
        generator = generator_for("neighbour images", self.neighbour_images)
        order = torch.randperm(len(self.train), generator=generator)
        return neighbourhoods_of(self.train[order[: self.neighbour_images]])

    @cached_property
    def held_out_neighbourhood_scores(self) -> NeighbourhoodScores | None:
        """The scores of the held-out images against the training images; None for too few."""
        if self.held_out is None or len(self.held_out) <= NEIGHBOURS:
            return None
        return compare_neighbourhoods(neighbourhoods_of(self.held_out), self.train_neighbourhoods)

    def some_train_logits(self, images: int) -> Tensor | None:
        """Logits of training images chosen by lot, as many as there are of `images`."""
        if self.train_logits is None:
            return None
        order = torch.randperm(
            len(self.train_logits), generator=generator_for("inception floor", images)
        )
        return self.train_logits[order[:images]]

    def some_held_out(self, images: int) -> Tensor:
        """Features (images, D) of held-out images, chosen by lot: the first may be of one kind.

        Raises:
            ValueError: if there are not that many.
        """
        held_out_KD = torch.empty(0) if self.held_out is None else self.held_out
        if images > len(held_out_KD):
            raise ValueError(f"there are {len(held_out_KD)} held-out images, not {images}")
        generator = generator_for("held-out floor", images)
        return held_out_KD[torch.randperm(len(held_out_KD), generator=generator)[:images]]

    def resample_distance(self, images: int) -> float:
        """Mean FD of bootstrap resamples, of `images` training images each, to the training set.

        Where features of some training images alone are kept, these are drawn without repetition:
        they are themselves a sample of all.
        """
        if images not in self._resampled:
            found = [self._one_resample(images, number) for number in range(RESAMPLES)]
            self._resampled[images] = sum(found) / len(found)
        return self._resampled[images]

    def _one_resample(self, images: int, number: int) -> float:
        generator = generator_for("resample floor", images, number)
        if self.images > len(self.train):
            index = torch.randperm(len(self.train), generator=generator)[:images]
        else:
            index = torch.randint(len(self.train), (images,), generator=generator)
        return frechet_distance(statistics_of(self.train[index]), self.train_statistics)
