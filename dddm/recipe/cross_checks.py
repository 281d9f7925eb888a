"""What can be wrong between two tables of a recipe, each of which is right by itself."""

from collections.abc import Iterator
from typing import Any

import attrs

from dddm.interfaces.facts import DataFacts
from dddm.interfaces.plugin import Surroundings
from dddm.recipe.locate import Path
from dddm.recipe.model import Recipe, Use
from dddm.recipe.options import Reading


def check_together(reading: Reading, recipe: Recipe) -> None:
    """Note every problem between tables: the core's checks, then those of the components."""
    facts = _facts(reading, recipe.data)
    _check_train(reading, recipe, images=None if facts is None else facts.train_images)
    for index, job in enumerate(recipe.sample):
        if not job.settings.steps:
            reading.complain(
                "steps: there is no step count to draw samples at",
                path=("sample", index, "steps"),
                remedy="write, for instance, steps = [1, 2, 10]",
                at_value=True,
            )
    surroundings = Surroundings(data=facts, tables=recipe.tables)
    for path, use in uses_of(recipe):
        _check_component(reading, use, path=path, surroundings=surroundings)


def _facts(reading: Reading, data: Use) -> DataFacts | None:
    describe = data.component.describe
    try:
        return None if describe is None else describe(data.options)
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        reading.complain(
            f"{data.component.id} cannot describe its images: {error!r}",
            path=("data",),
            remedy=f"report this to the authors of {data.component.package}",
            of_plugin=True,
        )
        return None


def uses_of(recipe: Recipe) -> Iterator[tuple[Path, Use]]:
    """Every component of a recipe, with the path of its table."""
    for name in ("data", "schedule", "backbone", "metric", "targets"):
        yield (name,), getattr(recipe, name)
    for index, job in enumerate(recipe.sample):
        yield ("sample", index), job.sampler
    if recipe.evaluate is not None:
        yield ("evaluate", "features"), recipe.evaluate.features
    for index, use in enumerate(recipe.observe or ()):
        yield ("observe", index), use


def _check_component(reading: Reading, use: Use, *, path: Path, surroundings: Surroundings) -> None:
    check = use.component.check
    if check is None:
        return
    try:
        complaints = list(check(use.options, surroundings))
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        reading.complain(
            f"the check of {use.component.id} failed: {error!r}",
            path=path,
            remedy=f"report this to the authors of {use.component.package}",
            of_plugin=True,
        )
        return
    for complaint in complaints:
        reading.complain(
            f"{complaint.option}: {complaint.what}",
            path=(*path, complaint.option),
            remedy=complaint.remedy,
            at_value=_stands(reading.merged.tables, (*path, complaint.option)),
        )


def _stands(tables: Any, path: Path) -> bool:
    for key in path:
        try:
            tables = tables[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _check_train(reading: Reading, recipe: Recipe, *, images: int | None) -> None:
    train = recipe.train
    if list(train.learning_rate_drops) != sorted(set(train.learning_rate_drops)):
        reading.complain(
            "learning_rate_drops must rise",
            path=("train", "learning_rate_drops"),
            remedy="write, for instance, learning_rate_drops = [0.5, 0.75]",
            at_value=True,
        )
    if len(train.adam_betas) != 2:  # noqa: PLR2004 - Adam has two
        reading.complain(
            f"adam_betas: Adam has two averaging factors, not {len(train.adam_betas)}",
            path=("train", "adam_betas"),
            remedy="write adam_betas = [0.9, 0.999]",
            at_value=True,
        )
    if train.shards is not None and train.batch_images % train.shards:
        reading.complain(
            f"{train.batch_images} images cannot be shared equally by {train.shards} shards",
            path=("train", "shards"),
            remedy=f"use a divisor of {train.batch_images}, or leave shards out",
            at_value=True,
        )
    elif images is not None and _smallest_shard(images, train.shards, train.batch_images) == 0:
        reading.complain(
            f"a batch of {train.batch_images} images is more than the {images} training images "
            "can fill",
            path=("train", "batch_images"),
            remedy=f"use {images} or fewer",
            at_value=True,
        )
    if attrs.asdict(recipe.data.options) and images == 0:
        reading.complain("the data set has no training images", path=("data",))


def _smallest_shard(images: int, shards: int | None, batch: int) -> int:
    """How many batches an epoch has."""
    # The same rule as `dddm.run.batches`, which imports torch.
    shards = shards or min(batch & -batch, 64)
    return (images // shards) // (batch // shards)
