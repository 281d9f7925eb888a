"""Options of `inception`, their check, and the file of weights.  Imports no torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from attrs import frozen

from dddm.interfaces.plugin import Issue, RecipeContext, WeightFile, option
from dddm.support.weights import find_weights
from dddm_features.own_weights import check_own_weights, own_file

INCEPTION_WEIGHTS: Final = WeightFile(
    name="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
    size_bytes=95_628_359,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
"""FID's Inception, as torch-fidelity converted it from TensorFlow."""

_MOST_CHANNELS: Final = 3


@final
@frozen(kw_only=True)
class InceptionOptions:
    """Options of `inception`."""

    weights: str | None = option(
        None,
        help="A file of one's own with torch-fidelity's names.  Without it: the one that "
        "`dddm weights list` names, with which distances are FID's.",
    )
    weights_sha256: str | None = option(
        None, help="SHA-256 of `weights`, in hexadecimal; the two go together."
    )


def check_inception(options: InceptionOptions, context: RecipeContext) -> Iterator[Issue]:
    """Find before training that the samples could not be judged after it."""
    if context.data is not None and context.data.shape.channels not in {1, _MOST_CHANNELS}:
        yield Issue(
            option="use",
            what=f"inception sees grey and colour images, and the data are {context.data.shape}",
            remedy='use features = "pixels", which take any shape',
        )
    yield from check_own_weights(weights=options.weights, sha256=options.weights_sha256)


def needs_inception(options: InceptionOptions) -> tuple[WeightFile, ...]:
    """FID's own file, unless it is one of the user's."""
    return () if options.weights is not None else (INCEPTION_WEIGHTS,)


def inception_path(options: InceptionOptions) -> Path:
    """The verified file.

    Raises:
        DataError: if it is not there, or is another file than it should be.
    """
    if options.weights is not None:
        return own_file(options.weights, sha256=options.weights_sha256)
    return find_weights(INCEPTION_WEIGHTS)
