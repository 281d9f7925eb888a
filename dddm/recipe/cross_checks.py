"""What can be wrong between two tables of a recipe, each of which is right by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from dddm.errors import PluginError
from dddm.interfaces.facts import DataFacts
from dddm.interfaces.plugin import Surroundings
from dddm.recipe.locate import Path
from dddm.recipe.model import Evaluation, SampleJob, TrainSettings, Use
from dddm.recipe.options import Reading
from dddm.recipe.shards import batches_per_epoch, default_shards
from dddm.scores.kinds import FEWEST


def check_together(
    reading: Reading,
    *,
    uses: Sequence[tuple[Path, Use]],
    train: TrainSettings | None,
    sample: Sequence[SampleJob],
    evaluate: Evaluation | None,
    tables: Mapping[str, Any],
) -> None:
    """Note every problem between tables: the core's checks, then those of the components.

    Args:
        uses: components that are right by themselves, with the paths of their tables.
        train: None where `[train]` is wrong by itself.
        tables: the recipe's; as they are written, where something is wrong already.
    """
    data = next((use for path, use in uses if path == ("data",)), None)
    facts = None if data is None else _facts(reading, data)
    if train is not None:
        _check_train(reading, train, images=None if facts is None else facts.train_images)
    if evaluate is not None:
        _check_counts(reading, evaluate, sample)
    surroundings = Surroundings(data=facts, tables=tables)
    for path, use in uses:
        _check_component(reading, use, path=path, surroundings=surroundings)


def _facts(reading: Reading, data: Use) -> DataFacts | None:
    try:
        return data.component.facts(DataFacts, data.options)
    except PluginError as error:
        reading.complain(error.what, path=("data",), remedy=error.remedy, of_plugin=True)
        return None


def _check_component(reading: Reading, use: Use, *, path: Path, surroundings: Surroundings) -> None:
    check = use.component.check
    if check is None:
        return
    try:
        complaints = list(check(use.options, surroundings))
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        if reading.problems:  # it may have missed a table that is wrong, which is its right
            return
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


def _check_train(reading: Reading, train: TrainSettings, *, images: int | None) -> None:
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
    if train.batch_images % train.accumulate:
        reading.complain(
            f"a batch of {train.batch_images} images cannot be worked off in {train.accumulate} "
            "equal parts",
            path=("train", "accumulate"),
            remedy=f"use a divisor of {train.batch_images}",
            at_value=True,
        )
    decays = (train.ema, *train.more_emas)
    if len(set(decays)) < len(decays):
        reading.complain(
            "more_emas: each decay is kept once, and `ema` is kept already",
            path=("train", "more_emas"),
            remedy="leave out what stands twice",
            at_value=True,
        )
    _check_scores(reading, train)
    if train.shards is not None and train.batch_images % train.shards:
        reading.complain(
            f"{train.batch_images} images cannot be shared equally by {train.shards} shards",
            path=("train", "shards"),
            remedy=f"use a divisor of {train.batch_images}, or leave shards out",
            at_value=True,
        )
    elif images is not None and not _fills_a_batch(images, train):
        reading.complain(
            f"a batch of {train.batch_images} images is more than the {images} training images "
            "can fill",
            path=("train", "batch_images"),
            remedy=f"use {images} or fewer",
            at_value=True,
        )


def _check_counts(reading: Reading, evaluate: Evaluation, sample: Sequence[SampleJob]) -> None:
    """There are samples enough for every score."""
    for number, job in enumerate(sample):
        for metric in evaluate.settings.metrics:
            if job.settings.images < FEWEST[metric]:
                reading.complain(
                    f'images: the score "{metric}" takes {FEWEST[metric]} images, not '
                    f"{job.settings.images}",
                    path=("sample", number, "images"),
                    remedy=f'draw {FEWEST[metric]} or more, or leave "{metric}" out of '
                    "evaluate.metrics",
                    at_value=_stands(reading.merged.tables, ("sample", number, "images")),
                )


def _check_scores(reading: Reading, train: TrainSettings) -> None:
    if train.score_every_epochs is None:
        return
    for table, word in (("evaluate", "[evaluate]"), ("sample", "[[sample]]")):
        if not reading.merged.tables.get(table):
            reading.complain(
                f"score_every_epochs: there is no {word} that says how samples are "
                + ("scored" if table == "evaluate" else "drawn"),
                path=("train", "score_every_epochs"),
                remedy=f"add {word}, or leave score_every_epochs out",
            )
    if not train.score_steps:
        reading.complain(
            "score_steps: there is no step count to score at",
            path=("train", "score_steps"),
            remedy="write, for instance, score_steps = [1, 2]",
            at_value=True,
        )


def _fills_a_batch(images: int, train: TrainSettings) -> bool:
    batch = train.batch_images
    shards = train.shards or default_shards(batch)
    return batches_per_epoch(images=images, batch_images=batch, shards=shards) > 0
