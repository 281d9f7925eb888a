"""A number from two sets of features, which says how good samples are."""

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
    """Features of the real images that generated ones are measured against.

    Attributes:
        train: of the training images, (M, D), or of some of them, sampled at random.
        held_out: of held-out images, (K, D); None where there are none.
        train_logits: (M, classes); None where the features give no logits.
        held_out_logits: (K, classes), or None.
        statistics: over all training images; None to compute them of `train`.
        train_images: how many these are; None for as many as in `train`.
    """

    train: Tensor
    held_out: Tensor | None = None
    train_logits: Tensor | None = None
    held_out_logits: Tensor | None = None
    statistics: Statistics | None = None
    train_images: int | None = None

    @property
    def images(self) -> int:
        """How many training images there are."""
        return len(self.train) if self.train_images is None else self.train_images

    def __attrs_post_init__(self) -> None:
        self._computed: dict[Hashable, Any] = {}

    @cached_property
    def train_statistics(self) -> Statistics:
        """Of all training images."""
        return statistics_of(self.train) if self.statistics is None else self.statistics

    def once(self, key: Hashable, compute: Callable[[], Computed]) -> Computed:
        """What `compute` gives, computed for the first that asks: scores share what they need.

        Args:
            key: what it is, with every option that it depends on, beginning with the name of the
                module that computes it.
            compute: from this reference and the options in `key` alone.
        """
        if key not in self._computed:
            self._computed[key] = compute()
        found: Computed = self._computed[key]
        return found

    def some_held_out(self, images: int) -> Tensor:
        """Features (images, D) of held-out images at random: the first may be of one class.

        Raises:
            ValueError: if there are not that many.
        """
        held_out_KD = torch.empty(0) if self.held_out is None else self.held_out
        if images > len(held_out_KD):
            raise ValueError(f"there are {len(held_out_KD)} held-out images, not {images}")
        generator = generator_for("held-out floor", images)
        return held_out_KD[torch.randperm(len(held_out_KD), generator=generator)[:images]]


class Score(ABC):
    """Measures generated images against real ones.  A target is called as `target(options)`.

    Its measures, and the fewest images that it takes, are its facts (`ScoreInfo`), which its
    registration gives by `describe`.  Both sets have at least that many images.
    """

    @abstractmethod
    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        """A measurement for each of the measures that its facts name, and no other.

        It depends on the two sets and its options alone: not on the order of images (up to
        rounding), nor on torch's random state, and it changes neither set.

        Args:
            generated: of N images; `generated.once` keeps what several scores need of them.
            reference: of real images; `reference.once` likewise.

        Raises:
            DataError: if a feature is not finite.
        """

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        """What real images reach, by the name of a measure; without an entry, nothing is known.

        Args:
            generated: a floor may be taken over as many images, or beside the first of these.
            reference: of real images, some of which may be held out.
        """
        return {}
