"""Pictures of samples, each sampler's beside as many real training images.

Images are not picked for quality.  Where they have classes, a row is a class, and the real images
stand in the same order.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import torch
from attrs import frozen
from PIL import Image
from torch import Tensor

from dddm.errors import DataError
from dddm.generate.storage import Samples, load_samples, sample_folders
from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe
from dddm.report.charts import Chart
from dddm.report.image_rows import (
    COMPARED,
    ImageRows,
    Neighbours,
    convergence_chart,
    image_rows,
    nearest_in,
)
from dddm.support.files import read_file
from dddm.support.images import grid
from dddm.training.run_folder import RunFolder

MOST_CLASS_ROWS: Final = 16
"""Of more classes than these only some have a row."""
MOST_PROGRESS: Final = 8
"""More grids than these from during training are not shown."""

_LARGEST_GRID_BYTES: Final = 64 << 20
_ROWS_OF_MANY: Final = 10
_COLUMNS: Final = 10
_FEWEST_COLUMNS: Final = 4
_MOST_UNSORTED: Final = 64


@final
@frozen(kw_only=True)
class Panel:
    """Samples of one sampler at all its step counts.

    Attributes:
        options: of the sampler, as `name = value`.
        step: of the checkpoint.
        count: images in each of the pictures.
        rows: names of the classes that rows stand for; empty where they stand for none.
        classes: how many classes the samples have; 0 without.
        pictures: by step count, with network evaluations for one image.
        real: real images of the same classes; None where there are none.
        neighbours: of the samples at the largest step count; likewise.
        over_steps: single images over the step counts; None where there is one step count.
        convergence: on the way to the largest step count; None where that was not recorded.
    """

    sampler: str
    options: tuple[str, ...]
    seed: int | None
    step: int | None
    count: int
    rows: tuple[str, ...]
    classes: int
    pictures: tuple[tuple[int, int, Image.Image], ...]
    real: Image.Image | None
    neighbours: Neighbours | None
    over_steps: ImageRows | None
    convergence: Chart | None


def gather_gallery(
    recipe: Recipe, *, folder: RunFolder, real: Split | None
) -> tuple[list[Panel], list[str]]:
    """Panels in the recipe's order, and a sentence for each set that cannot be read.

    Of several seeds only the first is shown.
    """
    sets: list[Samples] = []
    damage: list[str] = []
    for path in sample_folders(folder.samples):
        try:
            sets.append(load_samples(path))
        except DataError as error:
            damage.append(f"{error.what}.")
        except OSError as error:
            damage.append(f"The samples {path.name} cannot be read: {error}.")
    groups = _groups(recipe, _first_seeds(sets))
    neighbours: list[Neighbours | None] = [None] * len(groups)
    if real is not None:
        neighbours = nearest_in(real, generated=[group[-1].images[:COMPARED] for group in groups])
    return [
        _panel(group, real=real, neighbours=one)
        for group, one in zip(groups, neighbours, strict=True)
    ], damage


def gather_progress(folder: RunFolder) -> tuple[list[tuple[int, Image.Image]], int]:
    """Grids drawn during training, by epoch, and how many there are in all.

    At most `MOST_PROGRESS`, the first and the last among them.  One that cannot be read is left
    out: a run that is still going may be writing it.
    """
    found = sorted(
        (int(match[1]), path)
        for path in folder.progress.glob("epoch-*.png")
        if (match := re.fullmatch(r"epoch-(\d+)\.png", path.name))
    )
    kept = {round(k * (len(found) - 1) / (MOST_PROGRESS - 1)) for k in range(MOST_PROGRESS)}
    grids: list[tuple[int, Image.Image]] = []
    for k, (epochs, path) in enumerate(found):
        if k in kept:
            try:
                with Image.open(io.BytesIO(read_file(path, limit=_LARGEST_GRID_BYTES))) as picture:
                    picture.load()
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
                continue
            grids.append((epochs, picture))
    return grids, len(found)


def _first_seeds(sets: Sequence[Samples]) -> list[Samples]:
    """Without sets that differ from another in a larger seed alone."""
    first: dict[Any, Samples] = {}
    for one in sorted(sets, key=lambda each: _whole(each.facts, "seed") or 0):
        key = (one.facts["sampler"], _options(one), one.facts["steps"], one.facts["images"])
        first.setdefault(key, one)
    return list(first.values())


def _groups(recipe: Recipe, sets: Sequence[Samples]) -> list[list[Samples]]:
    """Sets that can share their real images: of one sampler, one checkpoint, the same classes."""
    order = [spec.name for spec in recipe.sample]

    def place(one: Samples) -> tuple[int, str, int]:
        name = one.facts["sampler"]
        return (order.index(name) if name in order else len(order), name, one.facts["steps"])

    groups: dict[Any, list[Samples]] = {}
    for one in sorted(sets, key=place):
        index = select_samples(images=len(one.images), label=one.label)[0]
        key = (
            one.facts["sampler"], _options(one), _whole(one.facts, "seed"),
            str(one.facts.get("checkpoint")), one.images.shape,
            None if one.label is None else tuple(one.label[index].tolist()),
        )  # fmt: skip
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _panel(group: Sequence[Samples], *, real: Split | None, neighbours: Neighbours | None) -> Panel:
    first = group[0]
    index_B, columns, labels = select_samples(images=len(first.images), label=first.label)
    checkpoint, names = first.facts.get("checkpoint"), first.facts.get("classes")
    names = names if isinstance(names, list) else []
    real_picture = None
    if real is not None:
        like = None if first.label is None else first.label[index_B]
        label = None if like is None else real.labels(torch.arange(len(real)))
        index = select_real(images=len(real), label=label, like=like, count=len(index_B))
        real_picture = grid(real.images(index), columns=columns)
    return Panel(
        sampler=first.facts["sampler"],
        options=_options(first),
        seed=_whole(first.facts, "seed"),
        step=_whole(checkpoint, "step") if isinstance(checkpoint, dict) else None,
        count=len(index_B),
        rows=tuple(str(names[label]) if label < len(names) else str(label) for label in labels),
        classes=0 if first.label is None else len(torch.unique(first.label)),
        pictures=tuple(
            (
                one.facts["steps"],
                one.facts["evaluations"],
                grid(one.images[index_B], columns=columns),
            )
            for one in group
        ),
        real=real_picture,
        neighbours=neighbours,
        over_steps=image_rows(group, neighbours=neighbours),
        convergence=convergence_chart(group[-1]),
    )


def _options(samples: Samples) -> tuple[str, ...]:
    options = samples.facts.get("sampler_options")
    if not isinstance(options, dict):
        return ()
    return tuple(f"{name} = {json.dumps(value)}" for name, value in options.items())


def _whole(facts: Mapping[str, Any], name: str) -> int | None:
    found = facts.get(name)
    return found if isinstance(found, int) else None


def select_samples(
    *, images: int, label: Tensor | None
) -> tuple[Tensor, int | None, tuple[int, ...]]:
    """Which samples are shown: the first of each class, a class a row; or simply the first.

    Of more than `MOST_CLASS_ROWS` classes ten at equal distances have a row, because neighbours in
    a list of classes are often alike.

    Args:
        images: how many samples there are, at least 1.
        label: their labels, (images,), int64, or None.

    Returns:
        Their indices (B,), int64; images in a row, None for a square; the label of each row, none
        where rows are no classes.
    """
    if label is not None:
        classes, counts = torch.unique(label, return_counts=True)
        if len(classes) > MOST_CLASS_ROWS:
            some = _evenly(torch.arange(len(classes)), _ROWS_OF_MANY)
            classes, counts = classes[some], counts[some]
        columns = min(_COLUMNS, int(counts.min()))
        if columns >= _FEWEST_COLUMNS:
            rows = [torch.nonzero(label == value).flatten()[:columns] for value in classes]
            return torch.cat(rows), columns, tuple(classes.tolist())
    return torch.arange(min(images, _MOST_UNSORTED)), None, ()


def select_real(*, images: int, label: Tensor | None, like: Tensor | None, count: int) -> Tensor:
    """Indices (B,), int64, of real images of the classes that samples have, in their order.

    Within a class, or within all images where there are no classes, they are taken at equal
    distances, because data are often in order of writers, scenes or dates.

    Args:
        images: how many real images there are, at least 1.
        label: their labels, (images,), int64, or None.
        like: labels of the samples, (B,), int64; None for samples without classes.
        count: B.
    """
    if label is None or like is None:
        return _evenly(torch.arange(images), count)
    index_B = torch.empty(count, dtype=torch.int64)
    for value in torch.unique(like):
        places = like == value
        pool = torch.nonzero(label == value).flatten()
        # A class without a real image is a contradiction that the page need not resolve.
        pool = pool if len(pool) else torch.arange(images)
        index_B[places] = _evenly(pool, int(places.sum()))
    return index_B


def _evenly(pool: Tensor, count: int) -> Tensor:
    """`count` of a pool, at equal distances; some of them repeatedly where it is too small."""
    return pool[(2 * torch.arange(count) + 1) * len(pool) // (2 * count)]
