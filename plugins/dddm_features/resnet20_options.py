"""Options of `resnet20`, their check, and the file of weights.  Imports no torch."""

from collections.abc import Iterator
from typing import Final, final

from attrs import frozen

from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Issue, RecipeContext, WeightFile, option
from dddm_features.own_weights import check_own_weights

RESNET20_SHAPE: Final = ImageShape(channels=3, height=32, width=32)
"""What the network was trained on, and all that it takes."""

CONVERT: Final = "python -m dddm_features.convert_resnet20 FROM.th resnet20.safetensors"
"""Makes safetensors of the repository's checkpoint."""

RESNET20_WEIGHTS: Final = WeightFile(
    name="resnet20.safetensors",
    url="https://github.com/akamaster/pytorch_resnet_cifar10",
    size_bytes=1_092_520,
    sha256="02926273efb1deadb6dc654c7087baea932ef2026d9f854680d6858146d85838",
    by_hand=f"take resnet20-12fca82f.th from that repository and convert it: {CONVERT}",
)
"""resnet20 of akamaster/pytorch_resnet_cifar10, its parameters as safetensors.

The repository has it as a checkpoint of torch's, resnet20-12fca82f.th, so the URL is no download.
"""


@final
@frozen(kw_only=True)
class ResNet20Options:
    """Options of `resnet20`."""

    weights: str | None = option(
        None,
        help="A file of one's own, as safetensors with the names of akamaster's network.  Without "
        "it: resnet20.safetensors in $DDDM_WEIGHTS or in $DDDM_DATA/cifar10-resnet20, whose hash "
        "is known.",
    )
    weights_sha256: str | None = option(
        None, help="SHA-256 of `weights`, in hexadecimal; the two go together."
    )


def check_resnet20(options: ResNet20Options, context: RecipeContext) -> Iterator[Issue]:
    """Find before training that the samples could not be judged after it."""
    if context.data is not None and context.data.shape != RESNET20_SHAPE:
        yield Issue(
            option="use",
            what=f"resnet20 is made for images of {RESNET20_SHAPE} (channels×height×width), and "
            f"the data are {context.data.shape}",
            remedy='use features = "pixels", which take any shape',
        )
    yield from check_own_weights(weights=options.weights, sha256=options.weights_sha256)
