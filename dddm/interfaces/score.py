"""Scores: numbers that measure generated images against real ones, from features of both."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, final

import torch
from attrs import define
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.support.moments import Statistics, statistics_of
from dddm.support.noise import generator_for

Computed = TypeVar("Computed")


@final
@define(kw_only=True, eq=False, slots=False)
class Reference:
    """Features of the real images.

    Attributes:
        train: of the training images, (M, D), or of a random sample of them.
        held_out: of held-out images, (K, D); None if there are none.
        train_logits: (M, classes); None if the features have no logits.
        held_out_logits: (K, classes), or None.
        train_image_statistics: of the images themselves, (M, 3), as in `Extraction`; None if
            they are unknown.
        held_out_image_statistics: (K, 3), or None.
        train_labels: classes, (M,), int64; None if they have none.
        held_out_labels: (K,), or None.
        statistics: over all training images; None to compute them from `train`.
        train_images: number of training images; None for all being in `train`.
    """

    train: Tensor
    held_out: Tensor | None = None
    train_logits: Tensor | None = None
    held_out_logits: Tensor | None = None
    train_image_statistics: Tensor | None = None
    held_out_image_statistics: Tensor | None = None
    train_labels: Tensor | None = None
    held_out_labels: Tensor | None = None
    statistics: Statistics | None = None
    train_images: int | None = None

    @property
    def images(self) -> int:
        """Number of training images."""
        return len(self.train) if self.train_images is None else self.train_images

    def __attrs_post_init__(self) -> None:
        self._computed: dict[Hashable, Any] = {}

    @cached_property
    def train_statistics(self) -> Statistics:
        """Mean and covariance over all training images."""
        return statistics_of(self.train) if self.statistics is None else self.statistics

    def cached(self, key: Hashable, compute: Callable[[], Computed]) -> Computed:
        """The result of `compute`, computed once for each key and shared by all scores.

        Args:
            key: begins with the name of the computing module, and holds every option that the
                result depends on.
            compute: depends only on this reference and on `key`.
        """
        if key not in self._computed:
            self._computed[key] = compute()
        found: Computed = self._computed[key]
        return found

    def sample_held_out(self, images: int) -> Tensor:
        """Features (images, D) of a random sample; the first ones may all be of one class.

        Raises:
            ValueError: if there are fewer held-out images.
        """
        held_out_KD = torch.empty(0) if self.held_out is None else self.held_out
        if images > len(held_out_KD):
            raise ValueError(f"there are {len(held_out_KD)} held-out images, not {images}")
        generator = generator_for("held-out floor", images)
        return held_out_KD[torch.randperm(len(held_out_KD), generator=generator)[:images]]


class Score(ABC):
    """Measures generated images against real ones.  A target is called as `target(options)`.

    The registration describes it by `ScoreInfo`: its measures, and the fewest images of either set,
    which callers guarantee.
    """

    @abstractmethod
    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        """One measurement for each measure in its `ScoreInfo`.

        It depends only on the two sets and the options: not on the order of images (up to
        rounding), nor on torch's random state.  It modifies neither set.

        Args:
            generated: of N images; `generated.cached` keeps results for other scores.
            reference: of real images; so does `reference.cached`.

        Raises:
            DataError: if a feature is not finite.
        """

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        """The scores of real images, by the name of the measure; none by default.

        Args:
            generated: its number of images may be the floor's.
            reference: of real images.
        """
        return {}
