"""What a score gives: a value, and what real images reach beside it.  Imports no torch."""

from typing import Any, final

from attrs import field, frozen


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
    """What a score gives for one of its measures.

    Attributes:
        details: further numbers by name; those that the measure declares are shown.
        formula: the parameters of the formula as plain values: two values are comparable only
            where these are equal.
        training_images: how many it was taken against, where it takes some of them alone; None
            for all.
    """

    value: float
    details: dict[str, float] = field(factory=dict)
    formula: dict[str, Any] = field(factory=dict)
    training_images: int | None = None
