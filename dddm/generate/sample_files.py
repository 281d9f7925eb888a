"""Samples on the disk: `samples.npz`, `grid.png`, `manifest.json`, and one PNG each if wanted.

`samples.npz` is in the layout of ADM's evaluator: `arr_0` is uint8 (N, H, W, C), `arr_1` the
labels, int64 (N,), where there are classes.  Images are written batch by batch as they come, so
that any number of them takes the memory of one batch.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, final

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.info import ImageShape
from dddm.support.files import atomic_directory
from dddm.support.pictures import grid, picture, png_bytes

ARRAYS: Final = "samples.npz"
_GRID_IMAGES: Final = 100
_NO_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Equal samples make equal files, whenever they were drawn."""


@final
@frozen(kw_only=True)
class Samples:
    """Finished samples of one sampler at one number of steps.

    Attributes:
        images: (N, C, H, W), uint8; where they were read from a file they stay there until looked
            at.
        label: (N,), int64, or None.
        facts: what is needed to repeat them.
    """

    images: Tensor
    label: Tensor | None
    facts: dict[str, Any]


def write_samples(
    folder: Path, samples: Samples, *, columns: int | None, separate: bool = False
) -> Path:
    """Write samples that are in memory; see `write_batches`."""
    count, channels, height, width = samples.images.shape
    return write_batches(
        folder,
        torch.split(samples.images, 256),
        images=count,
        shape=ImageShape(channels=channels, height=height, width=width),
        label=samples.label,
        facts=samples.facts,
        columns=columns,
        separate=separate,
    )


def write_batches(
    folder: Path,
    batches: Iterable[Tensor],
    *,
    images: int,
    shape: ImageShape,
    label: Tensor | None,
    facts: dict[str, Any],
    columns: int | None,
    separate: bool = False,
) -> Path:
    """Write samples as one folder, completely or not at all, and return the grid's path.

    Args:
        batches: (B, C, H, W), uint8, in the order of image numbers, `images` in all.
        label: (N,), int64, or None.
        facts: the manifest.
        columns: images in a row of the grid; None makes it about square.
        separate: also write every image as a PNG of its own, named by its number.

    Raises:
        EnvironmentProblem: without space or the right to write.
        FileExistsError: if the folder exists.
    """
    first: list[Tensor] = []

    def looked_at(aside: Path) -> Iterator[Tensor]:
        """The batches, while the grid's images are kept and PNGs written."""
        number = 0
        for image_BCHW in batches:
            if number < _GRID_IMAGES:
                first.append(image_BCHW[: _GRID_IMAGES - number].clone())
            if separate:
                _write_pictures(aside / "images", image_BCHW, first_number=number)
            number += len(image_BCHW)
            yield image_BCHW

    with atomic_directory(folder) as aside:
        if separate:
            (aside / "images").mkdir()
        with zipfile.ZipFile(aside / ARRAYS, "w") as archive:
            with _member(archive, "arr_0") as member:
                _write_images(member, looked_at(aside), images=images, shape=shape)
            if label is not None:
                with _member(archive, "arr_1") as member:
                    np.lib.format.write_array(member, label.numpy(), allow_pickle=False)
        sheet = grid(torch.cat(first), columns=columns)
        (aside / "grid.png").write_bytes(png_bytes(sheet))
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (aside / "manifest.json").write_text(text + "\n", encoding="utf-8")
    return folder / "grid.png"


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """An array of an .npz file to write; not compressed, so that it can be memory-mapped."""
    info = zipfile.ZipInfo(f"{name}.npy", date_time=_NO_DATE)
    return archive.open(info, "w", force_zip64=True)


def _write_images(
    member: IO[bytes], batches: Iterable[Tensor], *, images: int, shape: ImageShape
) -> None:
    np.lib.format.write_array_header_1_0(
        member,
        {
            "descr": "|u1",
            "fortran_order": False,
            "shape": (images, shape.height, shape.width, shape.channels),
        },
    )
    for image_BCHW in batches:
        member.write(image_BCHW.permute(0, 2, 3, 1).contiguous().numpy().data)


def _write_pictures(folder: Path, image_BCHW: Tensor, *, first_number: int) -> None:
    for number, image_CHW in enumerate(image_BCHW, start=first_number):
        (folder / f"{number:06d}.png").write_bytes(png_bytes(picture(image_CHW)))


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
