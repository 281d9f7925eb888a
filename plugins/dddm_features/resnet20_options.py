"""Options of `resnet20`, their check, and the file of weights.  Imports no torch."""

from collections.abc import Iterator
from typing import Final, final

from attrs import frozen

from dddm.interfaces.facts import ImageShape
from dddm.interfaces.plugin import Complaint, Surroundings, WeightFile, option

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


def check_resnet20(options: ResNet20Options, around: Surroundings) -> Iterator[Complaint]:
    """Find before training that the samples could not be judged after it."""
    if around.data is not None and around.data.shape != RESNET20_SHAPE:
        yield Complaint(
            option="use",
            what=f"resnet20 is made for images of {RESNET20_SHAPE} (channels×height×width), and "
            f"the data are {around.data.shape}",
            remedy='use features = "pixels", which take any shape',
        )
    if (options.weights is None) != (options.weights_sha256 is None):
        missing = "weights" if options.weights is None else "weights_sha256"
        yield Complaint(
            option=missing,
            what="weights and weights_sha256 go together",
            remedy=f"write {missing} too, or leave both out",
        )
    digest = options.weights_sha256
    if digest is not None and not _is_sha256(digest):
        yield Complaint(
            option="weights_sha256",
            what=f"{digest!r} is no SHA-256: that has 64 hexadecimal digits",
            remedy="write what `sha256sum FILE` prints",
        )


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")  # noqa: PLR2004 - 256 bits
