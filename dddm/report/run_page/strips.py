"""Single images in rows: over the numbers of steps, and above their nearest training images."""

from collections.abc import Sequence
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.generate.sample import NOISE_OF_X_T
from dddm.generate.sample_files import Samples
from dddm.report.run_page.neighbours import Neighbours
from dddm.report.run_page.picture import Picture, make_picture
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index
from dddm.support.pictures import grid

COMPARED: Final = 10
"""Samples of each sampler whose nearest training images are looked for."""
_ROWS: Final = 6


@final
@frozen(kw_only=True)
class Compared:
    """Samples in the upper row, and below each the training image that it is nearest to.

    Attributes:
        looked_through: training images among which it was looked for.
        of: how many there are.
    """

    steps: int
    count: int
    looked_through: int
    of: int
    picture: Picture


def compared_of(neighbours: Neighbours, *, steps: int) -> Compared:
    """The two rows, of samples at so many steps."""
    both = torch.cat([neighbours.generated, neighbours.nearest])
    return Compared(
        steps=steps,
        count=len(neighbours.generated),
        looked_through=neighbours.looked_through,
        of=neighbours.of,
        picture=make_picture(grid(both, columns=len(neighbours.generated))),
    )


@final
@frozen(kw_only=True)
class Strip:
    """A row for each of some images, a column for each number of steps.

    Attributes:
        columns: what stands above them, such as `10 steps`.
        noise: whether the first column is the noise that an image starts from.
        nearest: whether the last column is the nearest training image.
    """

    rows: int
    columns: tuple[str, ...]
    noise: bool
    nearest: bool
    picture: Picture


def strip_of(group: Sequence[Samples], *, neighbours: Neighbours | None) -> Strip | None:
    """The first images of sets that differ in their number of steps alone, from the same noise.

    None below two sets.

    Args:
        neighbours: of the first images of the last set; None where they are not known.
    """
    if len(group) < 2:  # noqa: PLR2004 - of one there is no change
        return None
    rows = min(_ROWS, len(group[0].images))
    columns = [one.images[:rows] for one in group]
    names = [f"{one.facts['steps']:,}" for one in group]
    noise_BCHW = _noise(group[0], count=rows)
    if noise_BCHW is not None:
        columns.insert(0, noise_BCHW)
        names.insert(0, "noise")
    if neighbours is not None:
        columns.append(neighbours.nearest[:rows])
        names.append("nearest")
    # (columns, rows, …) → row by row.
    image_BCHW = torch.stack(columns, dim=1).flatten(0, 1)
    return Strip(
        rows=rows,
        columns=tuple(names),
        noise=noise_BCHW is not None,
        nearest=neighbours is not None,
        picture=make_picture(grid(image_BCHW, columns=len(columns))),
    )


def _noise(samples: Samples, *, count: int) -> Tensor | None:
    """The noise in x_T, (B, C, H, W), as a picture; None where no seed is noted."""
    seed = samples.facts.get("seed")
    if type(seed) is not int:
        return None
    noise_BCHW = noise_by_index(
        seed=seed,
        purpose=NOISE_OF_X_T,
        index=torch.arange(count),
        shape=tuple(samples.images.shape[1:]),
    )
    return to_uint8(noise_BCHW)
