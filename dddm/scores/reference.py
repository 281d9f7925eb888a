"""Real images that samples are measured against, and what is computed of them once."""

from functools import cached_property
from typing import Final, final

import torch
from attrs import define
from torch import Tensor

from dddm.scores.frechet import Statistics, frechet_distance, statistics_of
from dddm.scores.nearest import nearest_distances
from dddm.support.noise import generator_for

RESAMPLES: Final = 5
"""One resample's distance varies by half of itself; the mean of five is steadier."""


@final
@define(kw_only=True, eq=False, slots=False)
class Reference:
    """Features of real images.

    Attributes:
        train: of the training images, (M, D).
        held_out: of held-out images, (K, D); None where there are none.
    """

    train: Tensor
    held_out: Tensor | None

    def __attrs_post_init__(self) -> None:
        self._resampled: dict[int, float] = {}

    @cached_property
    def train_statistics(self) -> Statistics:
        """Of the training images."""
        return statistics_of(self.train)

    @cached_property
    def held_out_nearest(self) -> Tensor | None:
        """Distance of each held-out image to the nearest training image, (K,), float64."""
        if self.held_out is None:
            return None
        return nearest_distances(query=self.held_out, reference=self.train)

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
        """Mean FD of bootstrap resamples, of `images` training images each, to the training set."""
        if images not in self._resampled:
            found = [self._one_resample(images, number) for number in range(RESAMPLES)]
            self._resampled[images] = sum(found) / len(found)
        return self._resampled[images]

    def _one_resample(self, images: int, number: int) -> float:
        generator = generator_for("resample floor", images, number)
        index = torch.randint(len(self.train), (images,), generator=generator)
        return frechet_distance(statistics_of(self.train[index]), self.train_statistics)
