"""Single images in rows: over the numbers of steps, and above their nearest training images.

Legend: B generated images, N training images that are searched.
"""

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from attrs import frozen
from PIL import Image
from torch import Tensor

from dddm.generate.sample import NOISE_OF_X_T
from dddm.generate.storage import Samples
from dddm.interfaces.dataset import Split
from dddm.report.charts import Chart, Line, line_chart
from dddm.report.wording import number
from dddm.support.images import grid, to_uint8
from dddm.support.noise import noise_by_index

COMPARED: Final = 10
"""Samples of each sampler whose nearest training images are searched for."""
MOST_BYTES: Final = 1 << 30
"""Pixels that are searched, in seconds: CIFAR-10 seven times over, 87,000 images of ImageNet 64."""
_BLOCK_BYTES: Final = 8 << 20
_ROWS: Final = 6


@final
@frozen(kw_only=True)
class Neighbours:
    """Generated images and their nearest training images, each (B, C, H, W), uint8.

    Attributes:
        searched: how many training images were compared.
        total: how many there are.
    """

    generated: Tensor
    nearest: Tensor
    searched: int
    total: int

    @property
    def picture(self) -> Image.Image:
        """Generated images above, their nearest ones below."""
        return grid(torch.cat([self.generated, self.nearest]), columns=len(self.generated))


def nearest_in(split: Split, *, generated: Sequence[Tensor]) -> list[Neighbours | None]:
    """The nearest training images of several sets of images (B, C, H, W), by Euclidean distance.

    The split is read once for all sets, in blocks.  Of a split of more than `MOST_BYTES`, images
    at equal distances are searched, because data are often in order of classes.  None stands for a
    set whose images are of another shape.
    """
    fits = [tuple(images.shape[1:]) == split.shape.as_tuple for images in generated]
    fitting = [images for images, fit in zip(generated, fits, strict=True) if fit]
    if not fitting:
        return [None] * len(generated)
    asked_BD = torch.cat(fitting).flatten(1).float()
    searched = min(len(split), max(1, MOST_BYTES // asked_BD.shape[1]))
    index_N = torch.arange(searched) * len(split) // searched
    best_B = torch.full((len(asked_BD),), torch.inf)
    index_B = torch.zeros(len(asked_BD), dtype=torch.int64)
    for index in torch.split(index_N, max(1, _BLOCK_BYTES // asked_BD.shape[1])):
        distance_B, place_B = torch.cdist(asked_BD, split.images(index).flatten(1).float()).min(1)
        nearer_B = distance_B < best_B
        best_B = torch.where(nearer_B, distance_B, best_B)
        index_B = torch.where(nearer_B, index[place_B], index_B)
    nearest = iter(torch.split(split.images(index_B), [len(images) for images in fitting]))
    return [
        Neighbours(generated=images, nearest=next(nearest), searched=searched, total=len(split))
        if fit
        else None
        for images, fit in zip(generated, fits, strict=True)
    ]


@final
@frozen(kw_only=True)
class ImageRows:
    """A row for each of some images, a column for each number of steps.

    Attributes:
        columns: what stands above them: `noise`, step counts, `nearest`.
    """

    rows: int
    columns: tuple[str, ...]
    picture: Image.Image


def image_rows(group: Sequence[Samples], *, neighbours: Neighbours | None) -> ImageRows | None:
    """The first images of sets that differ in their number of steps alone, from the same noise.

    None below two sets.

    Args:
        neighbours: of the first images of the last set; None where they are not known.
    """
    if len(group) < 2:  # noqa: PLR2004 - of one there is no change
        return None
    rows = min(_ROWS, len(group[0].images))
    columns = [(f"{one.facts['steps']:,}", one.images[:rows]) for one in group]
    seed = group[0].facts.get("seed")
    if type(seed) is int:
        shape = tuple(group[0].images.shape[1:])
        noise = noise_by_index(
            seed=seed, purpose=NOISE_OF_X_T, index=torch.arange(rows), shape=shape
        )
        columns.insert(0, ("noise", to_uint8(noise)))
    if neighbours is not None:
        columns.append(("nearest", neighbours.nearest[:rows]))
    # (columns, rows, …) → row by row.
    image_BCHW = torch.stack([images for _, images in columns], dim=1).flatten(0, 1)
    return ImageRows(
        rows=rows,
        columns=tuple(name for name, _ in columns),
        picture=grid(image_BCHW, columns=len(columns)),
    )


def convergence_chart(samples: Samples) -> Chart | None:
    """How far estimates still moved in single steps, as the manifest of samples notes it.

    None where it notes fewer than two steps, or something that cannot be read.
    """
    noted: Any = samples.facts.get("change_of_estimate")
    try:
        steps, median, largest = (list(map(float, noted[name]))
                                  for name in ("steps", "median", "largest"))  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None
    rising = all(before < after for before, after in zip((0.0, *steps), steps, strict=False))
    valid = all(0 <= value < torch.inf for value in (*steps, *median, *largest))
    if not (steps and rising and valid and len(steps) == len(median) == len(largest)):
        return None
    return line_chart(
        [
            Line(name="median over the images", points=list(zip(steps, median, strict=True))),
            Line(name="largest", points=list(zip(steps, largest, strict=True)), colour=2),
        ],
        title="change of the estimate in one step",
        x_label="step",
        description="Change of the estimate in single steps: median and largest over the images",
        log_x=True,
        log_y=True,
        from_zero=True,
        caption="How far the estimate still moves in a step, on the way to "
        f"{samples.facts['steps']:,} steps: root of the mean square over pixels between −1 and 1.  "
        f"In the last recorded step the median is {number(median[-1])}, "
        f"the largest {number(largest[-1])}.",
    )
