"""Where the weights of `resnet20` are, and that they are the right ones.  Imports no torch."""

import os
from pathlib import Path
from typing import Final

from dddm.errors import DataError
from dddm.interfaces.plugin import WeightFile
from dddm.support.weights import find_weights, verify
from dddm_features.own_weights import own_file
from dddm_features.resnet20_options import CONVERT, RESNET20_WEIGHTS, ResNet20Options

DATA_VARIABLE: Final = "DDDM_DATA"
"""Environment variable: a folder of data sets, in which the weights may stand too."""

_FOLDER: Final = "cifar10-resnet20"

_REMEDY: Final = (
    "put it into a folder that $DDDM_WEIGHTS names; or make one of the repository's checkpoint by "
    f"`{CONVERT}` and write its path and hash as weights and weights_sha256 under "
    "[evaluate.features]"
)


def needs_resnet20(options: ResNet20Options) -> tuple[WeightFile, ...]:
    """The known file, unless it is one of the user's own or stands beside the data."""
    there = options.weights is not None or _beside_data() is not None
    return () if there else (RESNET20_WEIGHTS,)


def resnet20_path(options: ResNet20Options) -> Path:
    """The verified file: the user's own, or the known one.

    Raises:
        DataError: if it is not there, or is another file than it should be.
    """
    if options.weights is not None:
        return own_file(options.weights, sha256=options.weights_sha256)
    try:
        return find_weights(RESNET20_WEIGHTS)
    except DataError as error:
        path = _beside_data()
        if path is None:
            raise DataError(error.what, where=error.where, remedy=_REMEDY) from error
    verify(path, file=RESNET20_WEIGHTS)
    return path


def _beside_data() -> Path | None:
    """A file of the known name in the folder of data sets, right or wrong."""
    data = os.environ.get(DATA_VARIABLE)
    path = Path(data).expanduser() / _FOLDER / RESNET20_WEIGHTS.name if data else None
    return path if path is not None and path.is_file() else None
