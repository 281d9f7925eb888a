"""Pictures of samples, each sampler's beside real training images."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.generate.sample_files import Samples
from dddm.generate.stored_samples import load_samples, sample_folders
from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe
from dddm.report.run_page.changes import Change, change_of
from dddm.report.run_page.choice import Choice, choose_real, choose_samples
from dddm.report.run_page.neighbours import Neighbours, nearest_in
from dddm.report.run_page.picture import Picture, make_picture
from dddm.report.run_page.strips import COMPARED, Compared, Strip, compared_of, strip_of
from dddm.support.pictures import grid
from dddm.train.run_folder import RunFolder


@final
@frozen(kw_only=True)
class Shown:
    """Samples at one number of steps.

    Attributes:
        evaluations: network evaluations for one image.
        images: how many there are in all.
    """

    steps: int
    evaluations: int
    images: int
    picture: Picture


@final
@frozen(kw_only=True)
class Panel:
    """Samples of one sampler at all its step counts, and real images of the same classes.

    Attributes:
        options: of the sampler, as `name = value`.
        count: images in each of the pictures.
        rows: names of the classes that rows stand for; empty where they stand for none.
        classes: how many classes the samples have; 0 without.
        real: None where there are no real images.
        compared: of the samples at the largest step count; None where there are no real images.
        strip: single images over the step counts; None where there is one step count.
        change: how far estimates moved on the way to the largest step count; None where the
            manifest does not say.
    """

    sampler: str
    options: tuple[str, ...]
    seed: int | None
    step: int | None
    count: int
    rows: tuple[str, ...]
    classes: int
    shown: tuple[Shown, ...]
    real: Picture | None
    compared: Compared | None
    strip: Strip | None
    change: Change | None


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
    wanted = Counter((spec.name, steps) for spec in recipe.sample for steps in spec.steps)
    groups = _groups(recipe, _of_first_seeds(sets))
    found_in = _nearest([group[-1] for group in groups], real=real)
    return Gallery(
        panels=tuple(
            _panel(group, real=real, neighbours=neighbours)
            for group, neighbours in zip(groups, found_in, strict=True)
        ),
        missing=(wanted - found).total(),
        damage=tuple(damage),
    )


def _of_first_seeds(sets: Sequence[Samples]) -> list[Samples]:
    """Without sets that differ from another in a larger seed alone."""
    first: dict[Any, Samples] = {}
    for one in sorted(sets, key=lambda each: _whole(each.facts, "seed") or 0):
        key = (one.facts["sampler"], _options(one), one.facts["steps"], one.facts["images"])
        first.setdefault(key, one)
    return list(first.values())


def _groups(recipe: Recipe, sets: Sequence[Samples]) -> list[list[Samples]]:
    """Sets that may share their real images: of one sampler, one checkpoint, the same classes."""
    order = [spec.name for spec in recipe.sample]

    def place(one: Samples) -> tuple[int, str, int]:
        name = one.facts["sampler"]
        return (order.index(name) if name in order else len(order), name, one.facts["steps"])

    groups: dict[Any, list[Samples]] = {}
    for one in sorted(sets, key=place):
        labels = None if one.label is None else tuple(one.label[_choice(one).index].tolist())
        key = (
            one.facts["sampler"], _options(one), _whole(one.facts, "seed"),
            str(one.facts.get("checkpoint")), labels, one.images.shape,
        )  # fmt: skip
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _choice(samples: Samples) -> Choice:
    return choose_samples(images=len(samples.images), label=samples.label)


def _options(samples: Samples) -> tuple[str, ...]:
    options = samples.facts.get("sampler_options")
    if not isinstance(options, dict):
        return ()
    return tuple(f"{name} = {json.dumps(value)}" for name, value in options.items())


def _panel(group: Sequence[Samples], *, real: Split | None, neighbours: Neighbours | None) -> Panel:
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
        classes=0 if first.label is None else len(torch.unique(first.label)),
        shown=tuple(
            Shown(
                steps=one.facts["steps"],
                evaluations=one.facts["evaluations"],
                images=len(one.images),
                picture=make_picture(grid(one.images[choice.index], columns=choice.columns)),
            )
            for one in group
        ),
        real=None if real is None else _real_picture(real, samples=first, choice=choice),
        compared=None
        if neighbours is None
        else compared_of(neighbours, steps=group[-1].facts["steps"]),
        strip=strip_of(group, neighbours=neighbours),
        change=change_of(group[-1]),
    )


def _nearest(sets: Sequence[Samples], *, real: Split | None) -> list[Neighbours | None]:
    """For each set its first samples with their nearest training images, found in one pass."""
    first = [one.images[:COMPARED] for one in sets]
    if real is None:
        return [None for _ in sets]
    fitting = [images for images in first if tuple(images.shape[1:]) == real.shape.as_tuple]
    if not fitting:
        return [None for _ in sets]
    found = nearest_in(real, generated=torch.cat(fitting))
    parts = iter(found.split([len(images) for images in fitting]))
    fits = (tuple(images.shape[1:]) == real.shape.as_tuple for images in first)
    return [next(parts) if fit else None for fit in fits]


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
