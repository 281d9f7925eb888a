"""A number from two sets of features, which says how good samples are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

from attrs import field, frozen

from dddm.interfaces.features import Extraction


@final
@frozen(kw_only=True)
class Floor:
    """What real images reach where generated ones are scored: no sampler needs to do better.

    Attributes:
        name: `resample`: training images drawn again, with repetition, as many as were generated;
            `training`: training images, as many as were generated, or all;
            `held-out`: real images that training never saw.
        value: of these real images.
        images: how many they are.
        generated_value: of the first `images` generated images, where a score depends on how many
            images it is taken over; otherwise None.
    """

    name: str
    value: float
    images: int
    generated_value: float | None = None


@final
@frozen(kw_only=True)
class Measurement:
    """A value, its floors, further numbers, and the parameters of the formula."""

    value: float
    floors: tuple[Floor, ...] = ()
    details: dict[str, float] = field(factory=dict)
    formula: dict[str, Any] = field(factory=dict)


class Score(ABC):
    """Measures generated images against real ones.  A target is called as `target(options)`."""

    @abstractmethod
    def measure(self, *, generated: Extraction, reference: Any) -> Mapping[str, Measurement]:
        """A measurement for each of the measures that its facts name."""
