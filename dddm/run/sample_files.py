"""Samples on the disk: `samples.npz`, `grid.png`, `manifest.json`, and one PNG each if wanted.

`samples.npz` is in the layout of ADM's evaluator: `arr_0` is uint8 (N, H, W, C), `arr_1` the
labels, int64 (N,), where there are classes.
"""

import json
from pathlib import Path
from typing import Any, final

import numpy as np
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.support.files import whole_folder
from dddm.support.pictures import grid, picture, png_bytes

_GRID_IMAGES = 100


@final
@frozen(kw_only=True)
class Samples:
    """Finished samples of one sampler at one number of steps.

    Attributes:
        images: (N, C, H, W), uint8.
        label: (N,), int64, or None.
        facts: what is needed to repeat them.
    """

    images: Tensor
    label: Tensor | None
    facts: dict[str, Any]


def write_samples(
    folder: Path, samples: Samples, *, columns: int | None, separate: bool = False
) -> Path:
    """Write samples as one folder, completely or not at all, and return the grid's path.

    Args:
        columns: images in a row of the grid; None makes it about square.
        separate: also write every image as a PNG of its own, named by its number.

    Raises:
        EnvironmentProblem: without space or the right to write.
        FileExistsError: if the folder exists.
    """
    with whole_folder(folder) as aside:
        images_NHWC = samples.images.permute(0, 2, 3, 1).numpy()
        if samples.label is None:
            np.savez(aside / "samples.npz", arr_0=images_NHWC)
        else:
            np.savez(aside / "samples.npz", arr_0=images_NHWC, arr_1=samples.label.numpy())
        sheet = grid(samples.images[:_GRID_IMAGES], columns=columns)
        (aside / "grid.png").write_bytes(png_bytes(sheet))
        if separate:
            (aside / "images").mkdir()
            for number, image in enumerate(samples.images):
                (aside / "images" / f"{number:06d}.png").write_bytes(png_bytes(picture(image)))
        text = json.dumps(samples.facts, indent=2, ensure_ascii=False)
        (aside / "manifest.json").write_text(text + "\n", encoding="utf-8")
    return folder / "grid.png"


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What is written beside finished samples; None where there are none.

    Raises:
        DataError: if the manifest cannot be read.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"the samples' manifest cannot be read: {error}",
            where=str(path),
            remedy=f"remove {folder} and draw the samples again",
        ) from error
    return facts
