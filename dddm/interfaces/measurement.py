"""The result of a score, its floors and its baselines.  Imports no torch."""

from typing import Any, Final, final

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


CLASS_GAUSSIAN: Final = "class-gaussian"
BASELINES: Final = (CLASS_GAUSSIAN, "class-means", "blurred-2", "blurred-4")
"""Names of the baselines, as recipes and tables have them."""


@final
@frozen(kw_only=True)
class Baseline:
    """The score of images that were made without a network.

    Attributes:
        name: one of `BASELINES`.
        words: what these images are, such as "a Gaussian for each class".
        value: of as many images as were generated.
        images: their number.
    """

    name: str
    words: str
    value: float
    images: int


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
