"""What can be wrong between two tables of a recipe, each of which is right by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from dddm.errors import PluginError
from dddm.interfaces.info import DatasetInfo, FeaturesInfo, ScoreInfo
from dddm.interfaces.plugin import RecipeContext
from dddm.recipe.defaults import DURATIONS
from dddm.recipe.locate import Path
from dddm.recipe.model import ComponentConfig, Evaluation, SampleSettings, TrainSettings, score_info
from dddm.recipe.needs import check_needs, needs_of
from dddm.recipe.options import Reading
from dddm.recipe.shards import batches_per_epoch, default_shards


def check_together(
    reading: Reading,
    *,
    uses: Sequence[tuple[Path, ComponentConfig]],
    train: TrainSettings | None,
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
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
        _check_train(
            reading,
            train,
            images=None if facts is None else facts.train_images,
            rows=_rows_of_a_set(reading, dict(uses)),
        )
    if evaluate is not None:
        _check_scores(reading, evaluate, sample=sample, train=train)
    check_needs(reading, uses=dict(uses), train=train, sample=sample)
    context = RecipeContext(data=facts, tables=tables)
    for path, use in uses:
        _check_component(reading, use, path=path, context=context)


def _facts(reading: Reading, data: ComponentConfig) -> DatasetInfo | None:
    try:
        return data.component.info(DatasetInfo, data.options)
    except PluginError as error:
        reading.complain(error.what, path=("data",), remedy=error.remedy, of_plugin=True)
        return None


def _check_component(
    reading: Reading, use: ComponentConfig, *, path: Path, context: RecipeContext
) -> None:
    check = use.component.check
    if check is None:
        return
    try:
        issues = list(check(use.options, context))
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
    for issue in issues:
        reading.complain(
            f"{issue.option}: {issue.what}",
            path=(*path, issue.option),
            remedy=issue.remedy,
            at_value=_stands(reading.merged.tables, (*path, issue.option)),
        )


def _stands(tables: Any, path: Path) -> bool:
    for key in path:
        try:
            tables = tables[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _rows_of_a_set(reading: Reading, uses: Mapping[Path, ComponentConfig]) -> int:
    """Images that shards cannot part: one, or a set where the objective compares sets."""
    objective = uses.get(("objective",))
    needs = None if objective is None else needs_of(reading, objective)
    return 1 if needs is None or needs.sets is None else needs.sets.rows


def _check_train(reading: Reading, train: TrainSettings, *, images: int | None, rows: int) -> None:
    _check_duration(reading, train)
    if train.batch_images % train.accumulation_steps:
        reading.complain(
            f"accumulation_steps: a batch of {train.batch_images} images cannot be accumulated "
            f"over {train.accumulation_steps} equal micro-batches",
            path=("train", "accumulation_steps"),
            remedy=f"use a divisor of {train.batch_images}",
            at_value=True,
        )
    decays = (train.ema, *train.extra_ema_decays)
    if len(set(decays)) < len(decays):
        reading.complain(
            "extra_ema_decays: each decay is kept once, and `ema` is kept already",
            path=("train", "extra_ema_decays"),
            remedy="leave out what stands twice",
            at_value=True,
        )
    _check_score_every_epochs(reading, train)
    units = train.batch_images // rows
    if train.shards is not None and units and units % train.shards:
        reading.complain(
            f"{units} {'images' if rows == 1 else 'sets of images'} cannot be shared equally by "
            f"{train.shards} shards",
            path=("train", "shards"),
            remedy=f"use a divisor of {units}, or leave shards out",
            at_value=True,
        )
    elif images is not None and not _fills_a_batch(images, train, rows=rows):
        reading.complain(
            f"a batch of {train.batch_images} images is more than the {images} training images "
            "can fill",
            path=("train", "batch_images"),
            remedy=f"use {images} or fewer",
            at_value=True,
        )


def _check_duration(reading: Reading, train: TrainSettings) -> None:
    """Exactly one setting says how long training takes."""
    said = [name for name in DURATIONS if getattr(train, name) is not None]
    if not said:
        reading.complain(
            "[train] does not say how long",
            path=("train",),
            remedy="write epochs, steps, images or training_flops",
        )
    if len(said) > 1:
        reading.complain(
            f"{said[1]}: [train] says how long by {said[0]} already",
            path=("train", said[1]),
            remedy=f"leave {' or '.join(said)} out",
            at_value=True,
        )


def _check_scores(
    reading: Reading,
    evaluate: Evaluation,
    *,
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
    train: TrainSettings | None,
) -> None:
    """Every score says what it gives, features have what it needs, and there are images enough."""
    givers: dict[str, str] = {}
    for place, use in enumerate(evaluate.scores):
        path, name = ("evaluate", "scores", place), use.component.name
        try:
            facts = score_info(use)
        except PluginError as error:
            reading.complain(error.what, path=path, remedy=error.remedy, of_plugin=True)
            continue
        for measure in facts.measures:
            if measure.name in givers:
                reading.complain(
                    f"the scores {givers[measure.name]} and {use.component.id} both measure "
                    f'"{measure.name}"',
                    path=path,
                    remedy="leave one of them out",
                )
            givers[measure.name] = use.component.id
        if facts.probabilities:
            _check_probabilities(reading, evaluate, score=name, path=path)
        for number, (_, settings) in enumerate(sample):
            if settings.images < facts.fewest_images:
                reading.complain(
                    f'images: the score "{name}" takes {facts.fewest_images} images, not '
                    f"{settings.images}",
                    path=("sample", number, "images"),
                    remedy=f'draw {facts.fewest_images} or more, or leave "{name}" out of '
                    "evaluate.scores",
                    at_value=_stands(reading.merged.tables, ("sample", number, "images")),
                )
        if place == 0 and train is not None and train.score_every_epochs is not None:
            _check_deciding(reading, train, score=name, facts=facts)


def _check_probabilities(reading: Reading, evaluate: Evaluation, *, score: str, path: Path) -> None:
    """No features that are known to give no logits."""
    for features in evaluate.features:
        try:
            known = features.component.info(FeaturesInfo, features.options)
        except PluginError as error:
            reading.complain(error.what, path=path, remedy=error.remedy, of_plugin=True)
            continue
        if known is not None and not known.probabilities:
            reading.complain(
                f'the score "{score}" needs features that give logits of classes, and '
                f"{features.component.name} give none",
                path=path,
                remedy=f'leave "{score}" out, or use other features',
            )


def _check_deciding(
    reading: Reading, train: TrainSettings, *, score: str, facts: ScoreInfo
) -> None:
    """The first score tells better weights from worse ones while they are trained."""
    if facts.measures[0].better == "neither":
        reading.complain(
            f'score_every_epochs: the first score, "{score}", does not say which of two values is '
            "better",
            path=("train", "score_every_epochs"),
            remedy="put another score first in evaluate.scores",
        )
    if train.score_images < facts.fewest_images:
        reading.complain(
            f'score_images: the score "{score}" takes {facts.fewest_images} images, not '
            f"{train.score_images}",
            path=("train", "score_images"),
            remedy=f"use {facts.fewest_images} or more",
            at_value=_stands(reading.merged.tables, ("train", "score_images")),
        )


def _check_score_every_epochs(reading: Reading, train: TrainSettings) -> None:
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


def _fills_a_batch(images: int, train: TrainSettings, *, rows: int) -> bool:
    batch = train.batch_images
    if rows > 1:  # a set takes its images from anywhere
        return images >= batch
    shards = train.shards or default_shards(batch)
    return batches_per_epoch(images=images, batch_images=batch, shards=shards) > 0
