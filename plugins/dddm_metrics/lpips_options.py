"""Options of the perceptual metrics, their checks, and the weights they need.  Imports no torch."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, final

from attrs import frozen

from dddm.interfaces.plugin import Issue, RecipeContext, WeightFile, option

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
"""The trunks as torchvision ships them, trained to classify ImageNet."""

SMALLEST_PIXELS: Final = {"vgg": 16, "alex": 31, "squeeze": 17}
"""Height and width at which the last feature map of a trunk still has one place."""


Net = Literal["vgg", "alex", "squeeze"]
Pooling = Literal["average", "max"]
Precision = Literal["float32", "bfloat16"]

_NET: Final = option("vgg", help="Whose features are compared; the paper uses VGG16.")
_POOLING: Final = option(
    "average",
    help="How the trunk's feature maps are halved: average as in the paper, max as the trunk was "
    "trained and as LPIPS is usually reported.",
)
_SIZE: Final = option(
    224,
    at_least=0,
    help="Height and width, in pixels, that images are resized to, bilinearly; the paper uses "
    "224.  0 leaves images as they are, which at 32×32 costs a fiftieth.",
)
_PRECISION: Final = option(
    "float32",
    help="In which the trunk computes; bfloat16 cannot tell a distance below about 1e-5 from 0.  "
    "Features are normalised and compared in float32.",
)
_TRUNK_FILE: Final = option(
    None,
    help="A trunk of one's own: a file of torchvision's format and names.  Without it: the one "
    "that `dddm weights list` names.",
)
_TRUNK_SHA256: Final = option(
    None, help="SHA-256 of trunk_file, in hexadecimal; the two go together."
)


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
        help="Of the form pseudo: √L at which the square turns into the norm; the paper's best is "
        "6.9e-5.",
    )
    form: Literal["pseudo", "sqrt", "plain"] = option(
        "pseudo",
        help="pseudo: √(L + c²) − c.  sqrt: √L, straight below L = 1e-10, where its slope would "
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
    """The trunk, unless it is one of the user's own."""
    return () if options.trunk_file is not None else (TRUNKS[options.net],)


def check_perceptual(options: PerceptualOptions, context: RecipeContext) -> Iterator[Issue]:
    """What of the options does not fit itself or the rest of the recipe."""
    yield from _about_trunk(options)
    yield from _about_images(options, context)
    yield from _about_precision(context.tables)


def _about_trunk(options: PerceptualOptions) -> Iterator[Issue]:
    if (options.trunk_file is None) != (options.trunk_sha256 is None):
        missing = "trunk_file" if options.trunk_file is None else "trunk_sha256"
        yield Issue(
            option=missing,
            what="trunk_file and trunk_sha256 go together",
            remedy=f"write {missing} too, or leave both out",
        )
    digest = options.trunk_sha256
    if digest is not None and not _is_sha256(digest):
        yield Issue(
            option="trunk_sha256",
            what=f"{digest!r} is no SHA-256: that has 64 hexadecimal digits",
            remedy="write what `sha256sum FILE` prints",
        )


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")  # noqa: PLR2004 - 256 bits


def _about_images(options: PerceptualOptions, context: RecipeContext) -> Iterator[Issue]:
    smallest = SMALLEST_PIXELS[options.net]
    if 0 < options.size < smallest:
        yield Issue(
            option="size",
            what=f"{options.size} pixels are too few for {options.net}",
            remedy=f"use at least {smallest}, or 0 to leave images as they are",
        )
    if context.data is None:
        return
    shape = context.data.shape
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
            what=f"{options.net} sees images of 3 channels (or 1, which is shown as grey), and "
            f"these have {shape.channels}",
            remedy="use a metric on pixels, such as pseudo-huber",
        )


def _about_precision(tables: Mapping[str, Any]) -> Iterator[Issue]:
    train = tables.get("train")
    if isinstance(train, Mapping) and train.get("precision") == "float16":
        yield Issue(
            option="precision",
            what='train.precision = "float16" does not go with LPIPS: what keeps its normalised '
            "features finite is smaller than float16 can say",
            remedy='write train.precision = "bfloat16"',
        )
