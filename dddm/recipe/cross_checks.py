"""What can be wrong between tables of a recipe that are each valid on their own."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from dddm.errors import PluginError
from dddm.interfaces.info import (
    BackboneInfo,
    DatasetInfo,
    FeaturesInfo,
    ObjectiveInfo,
    SamplerInfo,
    ScheduleInfo,
    ScoreInfo,
)
from dddm.interfaces.plugin import Kind, RecipeContext
from dddm.recipe.layout import DURATIONS
from dddm.recipe.locate import Path
from dddm.recipe.model import (
    ComponentConfig,
    Evaluation,
    SampleSettings,
    TrainSettings,
    batches_per_epoch,
    default_shards,
    score_info,
)
from dddm.recipe.reader import Reader

Known = TypeVar("Known")


def check_together(
    reader: Reader,
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
    by_path = dict(uses)
    data, objective = by_path.get(("data",)), by_path.get(("objective",))
    facts = None if data is None else _data_facts(reader, data)
    needs = None if objective is None else needs_of(reader, objective)
    if train is not None:
        _check_train(
            reader,
            train,
            images=None if facts is None else facts.train_images,
            rows=1 if needs is None or needs.sets is None else needs.sets.rows,
        )
    if evaluate is not None:
        _check_scores(reader, evaluate, sample=sample, train=train)
    if objective is not None and needs is not None:
        _check_needs(reader, objective, needs, uses=by_path, train=train, sample=sample)
    context = RecipeContext(data=facts, tables=tables)
    for path, use in uses:
        _check_component(reader, use, path=path, context=context)


def _data_facts(reader: Reader, data: ComponentConfig) -> DatasetInfo | None:
    try:
        return data.component.info(DatasetInfo, data.options)
    except PluginError as error:
        reader.add_problem(error.what, path=("data",), remedy=error.remedy, of_plugin=True)
        return None


def _check_component(
    reader: Reader, use: ComponentConfig, *, path: Path, context: RecipeContext
) -> None:
    check = use.component.check
    if check is None:
        return
    try:
        issues = list(check(use.options, context))
    except Exception as error:  # noqa: BLE001 - a plugin's check may raise anything
        if reader.problems:  # the check may rely on a table that is wrong
            return
        reader.add_problem(
            f"the check of {use.component.id} failed: {error!r}",
            path=path,
            remedy=f"report this to the authors of {use.component.package}",
            of_plugin=True,
        )
        return
    for issue in issues:
        reader.add_problem(
            f"{issue.option}: {issue.what}",
            path=(*path, issue.option),
            remedy=issue.remedy,
            at_value=True,
        )


def _check_train(reader: Reader, train: TrainSettings, *, images: int | None, rows: int) -> None:
    _check_duration(reader, train)
    if train.batch_images % train.accumulation_steps:
        reader.add_problem(
            f"accumulation_steps: a batch of {train.batch_images} images cannot be accumulated "
            f"over {train.accumulation_steps} equal micro-batches",
            path=("train", "accumulation_steps"),
            remedy=f"use a divisor of {train.batch_images}",
            at_value=True,
        )
    decays = (train.ema, *train.extra_ema_decays)
    if len(set(decays)) < len(decays):
        reader.add_problem(
            "extra_ema_decays: each decay is kept once, and `ema` is kept already",
            path=("train", "extra_ema_decays"),
            remedy="leave out what stands twice",
            at_value=True,
        )
    _check_score_every_epochs(reader, train)
    units = train.batch_images // rows
    if train.shards is not None and units and units % train.shards:
        reader.add_problem(
            f"{units} {'images' if rows == 1 else 'sets of images'} cannot be shared equally by "
            f"{train.shards} shards",
            path=("train", "shards"),
            remedy=f"use a divisor of {units}, or leave shards out",
            at_value=True,
        )
    elif images is not None and not _fills_a_batch(images, train, rows=rows):
        reader.add_problem(
            f"a batch of {train.batch_images} images is more than the {images} training images "
            "can fill",
            path=("train", "batch_images"),
            remedy=f"use {images} or fewer",
            at_value=True,
        )


def _check_duration(reader: Reader, train: TrainSettings) -> None:
    """Exactly one setting says how long training takes."""
    said = [name for name in DURATIONS if getattr(train, name) is not None]
    if not said:
        reader.add_problem(
            "[train] does not say how long",
            path=("train",),
            remedy="write epochs, steps, images or training_flops",
        )
    if len(said) > 1:
        reader.add_problem(
            f"{said[1]}: [train] says how long by {said[0]} already",
            path=("train", said[1]),
            remedy=f"leave {' or '.join(said)} out",
            at_value=True,
        )


def _check_scores(
    reader: Reader,
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
            reader.add_problem(error.what, path=path, remedy=error.remedy, of_plugin=True)
            continue
        for measure in facts.measures:
            if measure.name in givers:
                reader.add_problem(
                    f"the scores {givers[measure.name]} and {use.component.id} both measure "
                    f'"{measure.name}"',
                    path=path,
                    remedy="leave one of them out",
                )
            givers[measure.name] = use.component.id
        if facts.logits:
            _check_logits(reader, evaluate, score=name, path=path)
        for number, (_, settings) in enumerate(sample):
            if settings.images < facts.fewest_images:
                reader.add_problem(
                    f'images: the score "{name}" takes {facts.fewest_images} images, not '
                    f"{settings.images}",
                    path=("sample", number, "images"),
                    remedy=f'draw {facts.fewest_images} or more, or leave "{name}" out of '
                    "evaluate.scores",
                    at_value=True,
                )
        if place == 0 and train is not None and train.score_every_epochs is not None:
            _check_deciding(reader, train, score=name, facts=facts)


def _check_logits(reader: Reader, evaluate: Evaluation, *, score: str, path: Path) -> None:
    """No features that are known to give no logits."""
    for features in evaluate.features:
        try:
            known = features.component.info(FeaturesInfo, features.options)
        except PluginError as error:
            reader.add_problem(error.what, path=path, remedy=error.remedy, of_plugin=True)
            continue
        if known is not None and not known.logits:
            reader.add_problem(
                f'the score "{score}" needs features that give logits of classes, and '
                f"{features.component.name} give none",
                path=path,
                remedy=f'leave "{score}" out, or use other features',
            )


def _check_deciding(reader: Reader, train: TrainSettings, *, score: str, facts: ScoreInfo) -> None:
    """The first score tells better weights from worse ones while they are trained."""
    if facts.measures[0].better == "neither":
        reader.add_problem(
            f'score_every_epochs: the first score, "{score}", does not say which of two values is '
            "better",
            path=("train", "score_every_epochs"),
            remedy="put another score first in evaluate.scores",
        )
    if train.score_images < facts.fewest_images:
        reader.add_problem(
            f'score_images: the score "{score}" takes {facts.fewest_images} images, not '
            f"{train.score_images}",
            path=("train", "score_images"),
            remedy=f"use {facts.fewest_images} or more",
            at_value=True,
        )


def _check_score_every_epochs(reader: Reader, train: TrainSettings) -> None:
    if train.score_every_epochs is None:
        return
    for table, word in (("evaluate", "[evaluate]"), ("sample", "[[sample]]")):
        if not reader.tables.get(table):
            reader.add_problem(
                f"score_every_epochs: there is no {word} that says how samples are "
                + ("scored" if table == "evaluate" else "drawn"),
                path=("train", "score_every_epochs"),
                remedy=f"add {word}, or leave score_every_epochs out",
            )
    if not train.score_steps:
        reader.add_problem(
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


def facts_of(reader: Reader, use: ComponentConfig, of: type[Known], *, path: Path) -> Known | None:
    """What a component says of itself; None, with a problem, where it cannot say.

    A component that says nothing is taken to have its kind's defaults.
    """
    try:
        return use.component.info(of, use.options) or of()
    except PluginError as error:
        reader.add_problem(error.what, path=path, remedy=error.remedy, of_plugin=True)
        return None


def needs_of(reader: Reader, objective: ComponentConfig) -> ObjectiveInfo | None:
    """What an objective needs; None, with a problem, where it cannot say."""
    return facts_of(reader, objective, ObjectiveInfo, path=("objective",))


def _check_needs(
    reader: Reader,
    objective: ComponentConfig,
    needs: ObjectiveInfo,
    *,
    uses: Mapping[Path, ComponentConfig],
    train: TrainSettings | None,
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
) -> None:
    name = objective.component.name
    backbone = uses.get(("backbone",))
    if backbone is not None:
        _check_backbone(reader, name, needs, backbone)
    schedule = uses.get(("schedule",))
    if schedule is not None and needs.continuous_time:
        facts = facts_of(reader, schedule, ScheduleInfo, path=("schedule",))
        if facts is not None and not facts.continuous:
            reader.add_problem(
                f"the objective {name} needs times that are real numbers, and those of the "
                f"schedule {schedule.component.name} are integers",
                path=("schedule", "use"),
                remedy='use a continuous schedule, such as "vp-continuous"',
                at_value=True,
            )
    if needs.gradient_features:
        _check_features(reader, name, objective)
    if train is not None:
        _check_objective_train(reader, name, needs, train)
    _check_samplers(reader, name, needs, sample, backbone=backbone)


def _check_backbone(
    reader: Reader, name: str, needs: ObjectiveInfo, backbone: ComponentConfig
) -> None:
    facts = facts_of(reader, backbone, BackboneInfo, path=("backbone",))
    if facts is None:
        return
    network = backbone.component.name
    for wrong, what, remedy in (
        (
            needs.second_time and not facts.second_time,
            f"the objective {name} needs a second time, which {network} does not take",
            "set the backbone's option for it, such as second_time = true",
        ),
        (
            needs.derivatives > 0 and not facts.forward_mode,
            f"the objective {name} needs forward-mode derivatives, which {network} has not",
            "choose another backbone or objective",
        ),
        (
            needs.estimate != "none" and not facts.estimate,
            f"the objective {name} gives the network x̂, and {network} does not take it",
            "set the backbone's option for it, or choose another objective",
        ),
        (
            needs.estimate == "none" and facts.estimate,
            f"the network {network} takes x̂, and the objective {name} gives none",
            'set the backbone\'s option for it, such as estimate = "none"',
        ),
    ):
        if wrong:
            reader.add_problem(what, path=("backbone",), remedy=remedy)


def _check_features(reader: Reader, name: str, objective: ComponentConfig) -> None:
    held = [use for use in objective.nested if use.component.kind is Kind.FEATURES]
    for use in held:
        facts = facts_of(reader, use, FeaturesInfo, path=("objective",))
        if facts is not None and not facts.gradient:
            reader.add_problem(
                f"the objective {name} needs features with gradient, and {use.component.name} "
                "have none",
                path=("objective",),
                remedy='use features that offer it, such as "pixels"',
            )


def _check_objective_train(
    reader: Reader, name: str, needs: ObjectiveInfo, train: TrainSettings
) -> None:
    if needs.derivatives > 0 and train.compile:
        reader.add_problem(
            f"compile: forward-mode derivatives, which the objective {name} takes, cannot be "
            "compiled",
            path=("train", "compile"),
            remedy="write compile = false",
            at_value=True,
        )
    if needs.sets is None:
        return
    rows = needs.sets.rows
    if train.batch_images % rows:
        reader.add_problem(
            f"batch_images: {train.batch_images} images cannot be cut into sets of {rows}, which "
            f"the objective {name} compares",
            path=("train", "batch_images"),
            remedy=f"use a multiple of {rows}",
            at_value=True,
        )
    elif train.batch_images // rows % train.accumulation_steps:
        reader.add_problem(
            f"accumulation_steps: {train.batch_images // rows} sets of {rows} images cannot be "
            f"accumulated over {train.accumulation_steps} equal micro-batches without cutting one",
            path=("train", "accumulation_steps"),
            remedy=f"use a divisor of {train.batch_images // rows}",
            at_value=True,
        )


def _check_samplers(
    reader: Reader,
    name: str,
    needs: ObjectiveInfo,
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
    *,
    backbone: ComponentConfig | None,
) -> None:
    network = (
        None if backbone is None else facts_of(reader, backbone, BackboneInfo, path=("backbone",))
    )
    for number, (use, settings) in enumerate(sample):
        path: Path = ("sample", number)
        facts = facts_of(reader, use, SamplerInfo, path=path)
        if facts is None:
            continue
        sampler = use.component.name
        if facts.second_time and network is not None and not network.second_time:
            reader.add_problem(
                f"the sampler {sampler} gives the network a second time, which it does not take",
                path=(*path, "use"),
                remedy="use another sampler, or a network with a second time",
                at_value=True,
            )
        if facts.refines and needs.estimate == "none" and max(settings.steps, default=1) > 1:
            reader.add_problem(
                f"steps: the sampler {sampler} refines x̂, which the objective {name} does not "
                "give the network, so that more than one step changes nothing",
                path=(*path, "steps"),
                remedy='write steps = [1], or use another sampler, such as "annealed"',
                at_value=True,
            )
