"""Options of the built-in metrics, their checks, and the weights they need.  Imports no torch."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, final

from attrs import frozen

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import (
    Issue,
    Kind,
    NestedComponent,
    RecipeContext,
    WeightFile,
    nested_component,
    option,
)


@final
@frozen(kw_only=True)
class PseudoHuberOptions:
    """Options of `pseudo-huber`."""

    c: float = option(  # no default, because the right one grows with the image
        above=0,
        help="Distance at which the square turns into the norm; iCT uses 0.00054·√(C·H·W), which "
        "is 0.0043 for 1×8×8 and 0.03 for 3×32×32.",
    )


@final
@frozen(kw_only=True)
class PseudoHuberElementwiseOptions:
    """Options of `pseudo-huber-elementwise`."""

    c: float = option(
        1.4e-4, above=0, help="Difference at which the square turns into the absolute value."
    )


@final
@frozen(kw_only=True)
class FeaturesOptions:
    """Options of `features`."""

    features: NestedComponent = nested_component(
        Kind.FEATURES,
        help="A network in which images are compared, at the places of its maps where it has some; "
        "do not score the samples in it.",
    )
    c: float = option(
        6.9e-5,
        at_least=1e-9,
        help="√L at which the square turns into the norm; 6.9e-5 is the paper's for LPIPS.",
    )


_SOURCE: Final = "https://download.pytorch.org/models/"


def _weights(name: str, size_bytes: int, sha256: str) -> WeightFile:
    return WeightFile(name=name, url=_SOURCE + name, size_bytes=size_bytes, sha256=sha256)


TRUNKS: Final = {
    "vgg": _weights(
        "vgg16-397923af.pth",
        553_433_881,
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "alex": _weights(
        "alexnet-owt-7be5be79.pth",
        244_408_911,
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    "squeeze": _weights(
        "squeezenet1_1-b8a52dc0.pth",
        4_958_839,
        "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    ),
}
"""The networks whose features LPIPS compares, as torchvision ships them, trained on ImageNet."""

SMALLEST_PIXELS: Final = {"vgg": 16, "alex": 31, "squeeze": 17}
"""Height and width at which the last feature map of a trunk still has one place."""


Net = Literal["vgg", "alex", "squeeze"]
Pooling = Literal["average", "max"]
Precision = Literal["float32", "bfloat16"]

_NET: Final = option("vgg", help="The trunk, whose features are compared; the paper uses VGG16.")
_POOLING: Final = option(
    "average",
    help="How the trunk downsamples its feature maps: average as in the paper, max as the trunk "
    "was trained and as LPIPS is usually reported.",
)
_SIZE: Final = option(
    224,
    at_least=0,
    help="Height and width, in pixels, that images are resized to, bilinearly; the paper uses "
    "224.  0 leaves images as they are, which at 32×32 takes a fiftieth of the time.",
)
_PRECISION: Final = option(
    "float32",
    help="Precision of the trunk; bfloat16 cannot tell a distance below about 1e-5 from 0, and at "
    "4e-5 it is 15 % off.  With train.tf32 float32 is 15 % off at 7e-7, so that the knee c² = "
    "4.8e-9 of the paper's c cannot be seen in either.  Features are normalised and compared in "
    "float32.",
)
_TRUNK_FILE: Final = option(
    None,
    help="Your own weights of the trunk, in torchvision's format and names.  Default: the file "
    "that `dddm weights list` names.",
)
_TRUNK_SHA256: Final = option(None, help="SHA-256 of trunk_file, in hexadecimal; required with it.")


@final
@frozen(kw_only=True)
class LpipsOptions:
    """Options of `lpips`."""

    net: Net = _NET
    pooling: Pooling = _POOLING
    size: int = _SIZE
    precision: Precision = _PRECISION
    trunk_file: str | None = _TRUNK_FILE
    trunk_sha256: str | None = _TRUNK_SHA256


@final
@frozen(kw_only=True)
class PseudoLpipsOptions:
    """Options of `pseudo-lpips`: its own two, then those of `lpips`."""

    c: float = option(
        6.9e-5,
        at_least=1e-9,
        help="For the form pseudo: √L at which the square turns into the norm; the paper's best is "
        "6.9e-5.",
    )
    form: Literal["pseudo", "sqrt", "plain"] = option(
        "pseudo",
        help="pseudo: √(L + c²) − c.  sqrt: √L, linear below L = 1e-10, where its slope would "
        "grow without bound.  plain: L itself.",
    )
    net: Net = _NET
    pooling: Pooling = _POOLING
    size: int = _SIZE
    precision: Precision = _PRECISION
    trunk_file: str | None = _TRUNK_FILE
    trunk_sha256: str | None = _TRUNK_SHA256


PerceptualOptions = LpipsOptions | PseudoLpipsOptions


def needs(options: PerceptualOptions) -> tuple[WeightFile, ...]:
    """The trunk, unless the user brings it."""
    return () if options.trunk_file is not None else (TRUNKS[options.net],)


def check_perceptual(options: PerceptualOptions, context: RecipeContext) -> Iterator[Issue]:
    """Check the options against each other, the images and the precision of training."""
    yield from _check_trunk_file(options)
    smallest = SMALLEST_PIXELS[options.net]
    if 0 < options.size < smallest:
        yield Issue(
            option="size",
            what=f"{options.size} pixels are too few for {options.net}",
            remedy=f"use at least {smallest}, or 0 to leave images as they are",
        )
    if context.data is not None:
        yield from _check_images(options, context.data.shape)
    train = context.tables.get("train")
    if isinstance(train, Mapping) and train.get("precision") == "float16":
        yield Issue(
            option="precision",
            what='LPIPS cannot be computed with train.precision = "float16": the constant that '
            "keeps its normalised features finite underflows",
            remedy='write train.precision = "bfloat16"',
        )


def _check_trunk_file(options: PerceptualOptions) -> Iterator[Issue]:
    if (options.trunk_file is None) != (options.trunk_sha256 is None):
        missing = "trunk_file" if options.trunk_file is None else "trunk_sha256"
        yield Issue(
            option=missing,
            what="trunk_file and trunk_sha256 must be given together",
            remedy=f"write {missing} too, or leave both out",
        )
    digest = options.trunk_sha256
    if digest is not None and re.fullmatch("[0-9a-fA-F]{64}", digest) is None:
        yield Issue(
            option="trunk_sha256",
            what=f"{digest!r} is not a SHA-256, which has 64 hexadecimal digits",
            remedy="write what `sha256sum FILE` prints",
        )


def _check_images(options: PerceptualOptions, shape: ImageShape) -> Iterator[Issue]:
    smallest = SMALLEST_PIXELS[options.net]
    if options.size == 0 and min(shape.height, shape.width) < smallest:
        yield Issue(
            option="size",
            what=f"images of {shape.height}×{shape.width} pixels are too small for "
            f"{options.net} as they are: it needs {smallest}×{smallest}",
            remedy=f"write size = {smallest} or more, to which they are resized",
        )
    if shape.channels not in {1, 3}:
        yield Issue(
            option="net",
            what=f"{options.net} takes images of 3 channels (or 1, repeated as grey), and these "
            f"have {shape.channels}",
            remedy="use a metric on pixels, such as pseudo-huber",
        )
