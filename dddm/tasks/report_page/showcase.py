"""Pictures of samples, each sampler's beside real training images."""

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import torch
from attrs import frozen
from PIL import Image
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe
from dddm.run.folder import RunFolder
from dddm.run.sample_files import Samples
from dddm.run.stored_samples import load_samples, sample_folders
from dddm.support.pictures import grid, png_bytes
from dddm.tasks.report_page.choice import Choice, choose_real, choose_samples
from dddm.tasks.report_page.neighbours import nearest_in

MOST_PROGRESS: Final = 8
"""More grids than these from during training are not shown."""

_COMPARED: Final = 10


@final
@frozen(kw_only=True)
class Picture:
    """A picture within the page.

    Attributes:
        source: a data URI.
    """

    source: str
    width: int
    height: int


@final
@frozen(kw_only=True)
class Shown:
    """Samples at one number of steps.

    Attributes:
        images: how many there are in all.
    """

    steps: int
    images: int
    picture: Picture


@final
@frozen(kw_only=True)
class Compared:
    """Samples in the upper row, and below each the training image that it is nearest to.

    Attributes:
        looked_through: training images, the first of the split, among which it was looked for.
    """

    steps: int
    count: int
    looked_through: int
    picture: Picture


@final
@frozen(kw_only=True)
class Panel:
    """Samples of one sampler at all its step counts, and real images of the same classes.

    Attributes:
        options: of the sampler, as `name = value`.
        count: images in each of the pictures.
        rows: names of the classes that rows stand for; empty where they stand for none.
        real: None where there are no real images.
        compared: of the samples at the largest step count; None where there are no real images.
    """

    sampler: str
    options: tuple[str, ...]
    seed: int | None
    step: int | None
    count: int
    rows: tuple[str, ...]
    shown: tuple[Shown, ...]
    real: Picture | None
    compared: Compared | None


@final
@frozen(kw_only=True)
class Gallery:
    """All samples of a run.

    Attributes:
        missing: sets of samples that the recipe asks for and that are not there.
        damage: one sentence for each set that cannot be read.
    """

    panels: tuple[Panel, ...]
    missing: int
    damage: tuple[str, ...]


@final
@frozen(kw_only=True)
class ProgressGrid:
    """A grid drawn during training, after so many epochs."""

    epochs: int
    picture: Picture


def make_picture(drawn: Image.Image) -> Picture:
    """A picture whose contents stand in its address."""
    contents = base64.b64encode(png_bytes(drawn)).decode("ascii")
    return Picture(
        source=f"data:image/png;base64,{contents}", width=drawn.width, height=drawn.height
    )


def gather_gallery(recipe: Recipe, *, folder: RunFolder, real: Split | None) -> Gallery:
    """Samples under `folder.samples`, in the recipe's order; of several seeds the first alone.

    Samples that cannot be read are left out, and named in `damage`.
    """
    sets: list[Samples] = []
    damage: list[str] = []
    for path in sample_folders(folder.samples):
        try:
            sets.append(load_samples(path))
        except DataError as error:
            damage.append(error.what)
        except OSError as error:
            damage.append(f"The samples {path.name} cannot be read: {error}")
    found = Counter((one.facts["sampler"], one.facts["steps"]) for one in sets)
    wanted = Counter(
        (job.sampler.component.name, steps) for job in recipe.sample for steps in job.settings.steps
    )
    return Gallery(
        panels=tuple(_panel(group, real=real) for group in _groups(recipe, _of_first_seeds(sets))),
        missing=(wanted - found).total(),
        damage=tuple(damage),
    )


def _of_first_seeds(sets: Sequence[Samples]) -> list[Samples]:
    """Without sets that differ from another in a larger seed alone."""
    first: dict[Any, Samples] = {}
    for one in sorted(sets, key=lambda each: each.facts.get("seed", 0)):
        key = (one.facts["sampler"], _options(one), one.facts["steps"], one.facts["images"])
        first.setdefault(key, one)
    return list(first.values())


def _groups(recipe: Recipe, sets: Sequence[Samples]) -> list[list[Samples]]:
    """Sets that may share their real images: of one sampler, with one choice of classes."""
    order = [job.sampler.component.name for job in recipe.sample]

    def place(one: Samples) -> tuple[int, str, int]:
        name = one.facts["sampler"]
        return (order.index(name) if name in order else len(order), name, one.facts["steps"])

    groups: dict[Any, list[Samples]] = {}
    for one in sorted(sets, key=place):
        labels = None if one.label is None else tuple(one.label[_choice(one).index].tolist())
        key = (one.facts["sampler"], _options(one), one.facts.get("seed"), labels, len(one.images))
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _choice(samples: Samples) -> Choice:
    return choose_samples(images=len(samples.images), label=samples.label)


def _options(samples: Samples) -> tuple[str, ...]:
    options = samples.facts.get("sampler_options")
    if not isinstance(options, dict):
        return ()
    return tuple(f"{name} = {json.dumps(value)}" for name, value in options.items())


def _panel(group: Sequence[Samples], *, real: Split | None) -> Panel:
    first = group[0]
    choice = _choice(first)
    checkpoint = first.facts.get("checkpoint")
    return Panel(
        sampler=first.facts["sampler"],
        options=_options(first),
        seed=_whole(first.facts, "seed"),
        step=_whole(checkpoint, "step") if isinstance(checkpoint, dict) else None,
        count=len(choice.index),
        rows=_row_names(choice, first.facts.get("classes")),
        shown=tuple(
            Shown(
                steps=one.facts["steps"],
                images=len(one.images),
                picture=make_picture(grid(one.images[choice.index], columns=choice.columns)),
            )
            for one in group
        ),
        real=None if real is None else _real_picture(real, samples=first, choice=choice),
        compared=None if real is None else _compare(real, group[-1]),
    )


def _compare(real: Split, samples: Samples) -> Compared | None:
    images_BCHW = samples.images[:_COMPARED]
    if tuple(images_BCHW.shape[1:]) != real.shape.as_tuple:
        return None
    found = nearest_in(real, generated=images_BCHW)
    both = torch.cat([found.generated, found.nearest])
    return Compared(
        steps=samples.facts["steps"],
        count=len(images_BCHW),
        looked_through=found.looked_through,
        picture=make_picture(grid(both, columns=len(images_BCHW))),
    )


def _whole(facts: Mapping[str, Any], name: str) -> int | None:
    found = facts.get(name)
    return found if isinstance(found, int) else None


def _row_names(choice: Choice, classes: object) -> tuple[str, ...]:
    names = classes if isinstance(classes, list) else []
    return tuple(str(names[row]) if row < len(names) else str(row) for row in choice.rows)


def _real_picture(real: Split, *, samples: Samples, choice: Choice) -> Picture:
    label: Tensor | None = None
    if samples.label is not None:
        label = real.labels(torch.arange(len(real)))
    index_B = choose_real(
        images=len(real),
        label=label,
        like=None if samples.label is None else samples.label[choice.index],
        count=len(choice.index),
    )
    return make_picture(grid(real.images(index_B), columns=choice.columns))


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
