"""Options of `clip-vit-b-32` and `dinov2-vit-b-14`, and their weights.  Imports no torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from attrs import frozen

from dddm.interfaces.plugin import Issue, RecipeContext, WeightFile, option
from dddm.support.weights import find_weights
from dddm_features.own_weights import check_own_weights, own_file

CLIP_WEIGHTS: Final = WeightFile(
    name="ViT-B-32.pt",
    url="https://openaipublic.azureedge.net/clip/models/"
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
    size_bytes=353_976_522,
    sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
)
"""OpenAI's CLIP ViT-B/32, a TorchScript archive; its hash is the one that OpenAI's URL holds."""

DINOV2_WEIGHTS: Final = WeightFile(
    name="dinov2_vitb14_pretrain.pth",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
    size_bytes=346_378_731,
    sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
)
"""Meta's DINOv2 ViT-B/14 without registers.

Meta publishes no hash: this one, with the size, is what public repositories that pin the file agree
on, and has not been compared with a download of our own.
"""

_COLOUR_CHANNELS: Final = frozenset({1, 3})


@final
@frozen(kw_only=True)
class VisionOptions:
    """Options of either."""

    weights: str | None = option(
        None,
        help="A file of one's own in the layout of the known one.  Without it: the one that "
        "`dddm weights list` names.",
    )
    weights_sha256: str | None = option(
        None, help="SHA-256 of `weights`, in hexadecimal; the two go together."
    )


def check_vision(options: VisionOptions, context: RecipeContext) -> Iterator[Issue]:
    """Find before training that the samples could not be judged after it."""
    if context.data is not None and context.data.shape.channels not in _COLOUR_CHANNELS:
        yield Issue(
            option="use",
            what=f"these features see grey or colour images, but the data is {context.data.shape}",
            remedy='use features = "pixels-8x8", which take any shape',
        )
    yield from check_own_weights(weights=options.weights, sha256=options.weights_sha256)


def needs_clip(options: VisionOptions) -> tuple[WeightFile, ...]:
    """OpenAI's file, unless it is one of the user's."""
    return () if options.weights is not None else (CLIP_WEIGHTS,)


def needs_dinov2(options: VisionOptions) -> tuple[WeightFile, ...]:
    """Meta's file, unless it is one of the user's."""
    return () if options.weights is not None else (DINOV2_WEIGHTS,)


def path_of(options: VisionOptions, file: WeightFile) -> Path:
    """The verified file.

    Raises:
        DataError: if it is not there, or is another file than it should be.
    """
    if options.weights is not None:
        return own_file(options.weights, sha256=options.weights_sha256)
    return find_weights(file)
