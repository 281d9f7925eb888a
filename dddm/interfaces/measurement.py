"""The result of a score, and its floors: the scores of real images.  Imports no torch."""

from typing import Any, final

from attrs import field, frozen


@final
@frozen(kw_only=True)
class Floor:
    """The score of real images: no sampler needs to do better.

    Attributes:
        name: `resample`: training images sampled with replacement, as many as were generated;
            `training`: training images, as many as were generated, or all;
            `held-out`: real images that training did not use.
        value: of these real images.
        images: number of real images.
        generated_value: value of the first `images` generated images, if the score depends on the
            number of images; otherwise None.
    """

    name: str
    value: float
    images: int
    generated_value: float | None = None


@final
@frozen(kw_only=True)
class Measurement:
    """The result of a score for one of its measures.

    Attributes:
        details: further numbers by name; tables show those that the measure declares.
        formula: parameters of the formula, as plain values; only scores with equal parameters
            are comparable.
        training_images: number of training images used, if it is a sample of them; else None.
    """

    value: float
    details: dict[str, float] = field(factory=dict)
    formula: dict[str, Any] = field(factory=dict)
    training_images: int | None = None
