"""Grids of samples that were drawn during training."""

import re
from pathlib import Path
from typing import Final, final

from attrs import frozen
from PIL import Image

from dddm.report.run_page.picture import Picture, make_picture
from dddm.train.run_folder import RunFolder

MOST_PROGRESS: Final = 8
"""More grids than these from during training are not shown."""


@final
@frozen(kw_only=True)
class ProgressGrid:
    """A grid drawn during training, after so many epochs."""

    epochs: int
    picture: Picture


def gather_progress(folder: RunFolder) -> tuple[tuple[ProgressGrid, ...], int]:
    """Grids drawn during training, by epoch, and how many there are in all.

    At most `MOST_PROGRESS` are taken, the first and the last among them.  One that cannot be read
    is left out: a run in progress may be writing it.
    """
    found = [
        (int(match[1]), path)
        for path in folder.progress.glob("epoch-*.png")
        if (match := re.fullmatch(r"epoch-(\d+)\.png", path.name))
    ]
    found.sort()
    last = len(found) - 1
    kept = {round(k * last / (MOST_PROGRESS - 1)) for k in range(MOST_PROGRESS)}
    grids = [
        ProgressGrid(epochs=epochs, picture=picture)
        for k, (epochs, path) in enumerate(found)
        if k in kept and (picture := _read_picture(path)) is not None
    ]
    return tuple(grids), len(found)


def _read_picture(path: Path) -> Picture | None:
    try:
        with Image.open(path) as drawn:
            return make_picture(drawn)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
