"""What can be wrong between tables of a recipe that are each valid on their own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.info import (
    BackboneInfo,
    DatasetInfo,
    FeaturesInfo,
    ObjectiveInfo,
    SamplerInfo,
    ScheduleInfo,
    ScoreInfo,
)
from dddm.interfaces.plugin import Info, Kind, RecipeContext
from dddm.recipe.layout import DURATIONS
from dddm.recipe.left_out import info_of
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
from dddm.recipe.sampler_fit import misfits
from dddm.support.weights import find_weights

Finding = tuple[Path, str, str]
"""The path of a value, what is wrong with it, and what to do."""

Samples = Sequence[tuple[ComponentConfig, SampleSettings]]


def check_together(
    reader: Reader,
    *,
    train: TrainSettings | None,
    sample: Samples,
    evaluate: Evaluation | None,
    tables: Mapping[str, Any],
) -> None:
    """Add every problem between tables: the core's checks, then those of the components.

    Args:
        reader: has read all tables.
        train: None where `[train]` is wrong by itself.
        tables: the recipe's, with defaults unless something is wrong already.
    """
    components = dict(reader.components)
    data, objective = components.get(("data",)), components.get(("objective",))
    images = None if data is None else info_of(reader, ("data",), data)
    if reader.surveys.every:
        _look_at_files(reader)
    needs = None if objective is None else needs_of(reader, objective)
    rows = 1 if needs is None or needs.sets is None else needs.sets.rows
    found: list[Finding] = []
    if train is not None:
        found += _train(train, images=None if images is None else images.train_images, rows=rows)
        if train.score_every_epochs is not None:
            found += _scores_during_training(reader, train, evaluate, tables=tables)
    if evaluate is not None:
        found += _scores(reader, evaluate, images=images, sample=sample)
    if objective is not None and needs is not None:
        found += _objective(reader, objective, needs, train=train)
        found += _samplers(reader, objective, needs, sample, train=train)
    if ("metric",) in components:
        found += _with_gradient(reader, components["metric",])
    if train is not None:
        found += _guidance(reader, train, sample, images=images, needs=needs)
    for path, what, remedy in found:
        reader.add_problem(what, path=path, remedy=remedy, at_value=True)
    context = RecipeContext(data=images, tables=tables)
    for path, component in reader.components:
        _check_component(reader, component, path=path, context=context)


def _look_at_files(reader: Reader) -> None:
    """Add a problem for each further data set that cannot be read, and for absent weights."""
    for path, component in reader.components:
        if component.component.kind is Kind.DATASET and path != ("data",):
            info_of(reader, path, component)
        files = reader.ask(path, component.component.weights_for, component.options) or ()
        for file in files:
            try:
                find_weights(file, by_size=True)
            except (DataError, EnvironmentProblem) as error:
                reader.add_problem(
                    error.what,
                    path=(*path, "use"),
                    remedy=error.remedy,
                    of_data=True,
                    at_value=True,
                )


def needs_of(reader: Reader, objective: ComponentConfig) -> ObjectiveInfo | None:
    """What an objective needs; None, with a problem, where it cannot say."""
    return reader.ask(("objective",), _info, objective, ObjectiveInfo)


def _info(component: ComponentConfig, of: type[Info]) -> Info:
    return component.info(of) or of()  # one that says nothing has the defaults of its kind


def _check_component(
    reader: Reader, component: ComponentConfig, *, path: Path, context: RecipeContext
) -> None:
    registered = component.component
    try:
        issues = list(registered.check(component.options, context)) if registered.check else []
    except Exception as error:  # noqa: BLE001 - a plugin's check may raise anything
        if not reader.problems:  # otherwise the check may rely on a table that is wrong
            reader.add_problem(
                f"the check of {registered.id} failed: {error!r}",
                path=path,
                remedy=f"report this to the authors of {registered.package}",
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


def _train(train: TrainSettings, *, images: int | None, rows: int) -> Iterator[Finding]:
    """`[train]` by itself and with the data: `rows` images form a set that is not divided."""
    batch, parts = train.batch_images, train.micro_batches or 1
    set_durations = [name for name in DURATIONS if getattr(train, name) is not None]
    if len(set_durations) > 1:
        first, second = set_durations[:2]
        what = f"{second}: [train] already says how long to train, by {first}"
        yield ("train", second), what, f"remove {' or '.join(set_durations)}"
    if batch % parts:
        what = f"{batch} images cannot be divided into {parts} equal micro-batches"
        remedy = f"use a divisor of {batch}"
        yield ("train", "accumulation_steps"), f"accumulation_steps: {what}", remedy
    if train.sharding == "full":
        clash = {
            "compile": train.compile,
            "precision": train.precision == "float16",
            "score_every_epochs": train.score_every_epochs is not None,
        }
        for name in (name for name, clashes in clash.items() if clashes):
            yield ("train", name), f'{name}: not with sharding = "full"', f"remove {name}"
    decays = (train.ema, *train.extra_ema_decays)
    if len(set(decays)) < len(decays):
        what = "extra_ema_decays: a decay is listed twice, or equals `ema`"
        yield ("train", "extra_ema_decays"), what, "list each decay once, without that of `ema`"
    if rows > 1 and batch % rows:
        what = f"batch_images: {batch} images cannot be divided into sets of {rows}"
        yield ("train", "batch_images"), what, f"use a multiple of {rows}"
    elif rows > 1 and batch // rows % parts:
        what = f"{batch // rows} sets of {rows} images cannot be divided into {parts} micro-batches"
        remedy = f"use a divisor of {batch // rows}"
        yield ("train", "accumulation_steps"), f"accumulation_steps: {what}", remedy
    units = batch // rows
    if train.shards is not None and units and units % train.shards:
        what = f"shards: {units} {'images' if rows == 1 else 'sets of images'}"
        what += f" cannot be divided equally among {train.shards} shards"
        yield ("train", "shards"), what, f"use a divisor of {units}, or remove shards"
    elif images is not None and not _fills_a_batch(images, train, rows=rows):
        what = f"batch_images: {batch} images are more than {images} training images can fill"
        yield ("train", "batch_images"), what, f"use {images} or fewer"


def _fills_a_batch(images: int, train: TrainSettings, *, rows: int) -> bool:
    batch = train.batch_images
    if rows > 1:  # a set takes its images from anywhere
        return images >= batch
    shards = train.shards or default_shards(batch)
    return batches_per_epoch(images=images, batch_images=batch, shards=shards) > 0


def _scores_during_training(
    reader: Reader, train: TrainSettings, evaluate: Evaluation | None, *, tables: Mapping[str, Any]
) -> Iterator[Finding]:
    """There are samples to score, and the first score tells better weights from worse ones."""
    for table, word, verb in (
        ("evaluate", "[evaluate]", "scored"), ("sample", "[[sample]]", "drawn"),
    ):  # fmt: skip
        if not tables.get(table):
            what = f"score_every_epochs: no {word} says how samples are {verb}"
            yield ("train", "score_every_epochs"), what, f"add {word}, or remove score_every_epochs"
    if not train.score_steps:
        remedy = "write, for instance, score_steps = [1, 2]"
        yield ("train", "score_steps"), "score_steps: there is no step count to score at", remedy
    if evaluate is None:
        return
    first = evaluate.scores[0]
    info = reader.ask(("evaluate", "scores", 0), score_info, first)
    if info is None:
        return
    name = first.component.name
    if info.measures[0].better == "neither":
        what = f'score_every_epochs: of two values of the first score, "{name}", neither is better'
        yield ("train", "score_every_epochs"), what, "put another score first in evaluate.scores"
    yield from _enough_images(info, name, train.score_images, ("train", "score_images"))


def _scores(
    reader: Reader, evaluate: Evaluation, *, images: DatasetInfo | None, sample: Samples
) -> Iterator[Finding]:
    """Each measure comes from one score, features give what scores need, images are enough."""
    measured_by: dict[str, str] = {}
    for index, score in enumerate(evaluate.scores):
        path: Path = ("evaluate", "scores", index)
        name, info = score.component.name, reader.ask(path, score_info, score)
        if info is None:
            continue
        for measure in (one.name for one in info.measures):
            if measure in measured_by:
                both = f"{measured_by[measure]} and {score.component.id}"
                yield path, f'the scores {both} both measure "{measure}"', "remove one of them"
            measured_by[measure] = score.component.id
        for features in evaluate.features if info.logits else ():
            known = reader.ask(path, features.info, FeaturesInfo)
            if known is not None and not _has_logits(reader, features, known, path, images=images):
                what = f"the features {features.component.name} have no class logits, which the "
                what += f'score "{name}" needs'
                yield path, what, f'remove "{name}", or use other features'
        for at, (_, settings) in enumerate(sample):
            yield from _enough_images(info, name, settings.images, ("sample", at, "images"))
        if images is not None and images.train_images < info.fewest_images:
            what = (
                f'the score "{name}" compares with {info.fewest_images} training images or more, '
            )
            yield path, f"{what}and there are {images.train_images}", f'remove "{name}"'


def _has_logits(
    reader: Reader,
    features: ComponentConfig,
    info: FeaturesInfo,
    path: Path,
    *,
    images: DatasetInfo | None,
) -> bool:
    """Whether they do, or may: what is learned has logits where the images have classes."""
    if info.logits is not None:
        return info.logits
    own = next((one for one in features.nested if one.component.kind is Kind.DATASET), None)
    learned_on = images if own is None else info_of(reader, path, own)
    return learned_on is None or len(learned_on.classes) > 1


def _enough_images(info: ScoreInfo, score: str, images: int, path: Path) -> Iterator[Finding]:
    fewest = info.fewest_images
    if images < fewest:
        what = f'{path[-1]}: the score "{score}" needs {fewest} images, not {images}'
        yield path, what, f"use {fewest} or more, or remove that score from evaluate.scores"


def _objective(
    reader: Reader, objective: ComponentConfig, needs: ObjectiveInfo, *, train: TrainSettings | None
) -> Iterator[Finding]:
    """Network, schedule, features and `[train]` give what the objective needs."""
    name, components = f"the objective {objective.component.name}", dict(reader.components)
    backbone, schedule = components.get(("backbone",)), components.get(("schedule",))
    network = None if backbone is None else _network(reader, backbone)
    if backbone is not None and network is not None:
        net = f"the backbone {backbone.component.name}"
        for wrong, what, remedy in (
            (
                needs.second_time and not network.second_time,
                f"{name} needs a second time, which {net} does not take",
                "set its option for that, such as second_time = true",
            ),
            (
                needs.times == "all" and not network.time,
                f"{name} trains at all times, and {net} does not take the time",
                'use another backbone, such as "adm", or an objective that trains at T alone',
            ),
            (
                needs.derivatives > 0 and not network.forward_mode,
                f"{name} needs forward-mode derivatives, which {net} does not support",
                "use another backbone or objective",
            ),
            (
                needs.estimate != "none" and not network.estimate,
                f"{name} passes an estimate x̂ to the network, which {net} does not take",
                "set its option for that, or use another objective",
            ),
            (
                needs.estimate == "none" and network.estimate,
                f"{net} takes an estimate x̂, which {name} does not pass",
                'set its option for that, such as estimate = "none"',
            ),
        ):
            if wrong:
                yield ("backbone",), what, remedy
    if schedule is not None:
        yield from _times(reader, name, needs, schedule)
    if needs.gradient_features:
        yield from _with_gradient(reader, objective)
    if train is not None and needs.derivatives > 0 and train.sharding == "full":
        what = f"sharding: the forward-mode derivatives of {name} need whole weights"
        yield ("train", "sharding"), what, 'write sharding = "none"'
    if train is not None and needs.derivatives > 0 and train.compile:
        what = f"compile: the forward-mode derivatives of {name} cannot be compiled"
        yield ("train", "compile"), what, "write compile = false"
    if train is not None and needs.derivatives > 0 and train.precision != "float32":
        # torch's autocast casts the weights of a convolution there, and not its input.
        what = f"precision: the forward-mode derivatives of {name} need float32"
        yield ("train", "precision"), what, 'write precision = "float32"'


def _with_gradient(reader: Reader, user: ComponentConfig) -> Iterator[Finding]:
    """The features that an objective or a metric compares images in have a gradient."""
    name = f"the {user.component.kind.value} {user.component.name}"
    for features in user.nested:
        if features.component.kind is Kind.FEATURES:
            path = next(path for path, one in reader.components if one is features)
            known = reader.ask(path, _info, features, FeaturesInfo)
            if known is not None and not known.gradient:
                what = f"{name} needs features with gradient, which {features.component.name} lack"
                yield path, what, 'use features that have it, such as "pixels"'
            elif known is not None and known.logits is None and user.component.kind is Kind.METRIC:
                what = f"{name} has no time to learn features, as {features.component.name} must"
                yield path, what, 'use features that are there already, such as "pixels"'


def _times(
    reader: Reader, name: str, needs: ObjectiveInfo, schedule: ComponentConfig
) -> Iterator[Finding]:
    """The schedule has real times, or as many as the objective needs."""
    info = reader.ask(("schedule",), _info, schedule, ScheduleInfo)
    if info is None or info.continuous:
        return
    of_schedule = f"the schedule {schedule.component.name}"
    if needs.continuous_time:
        what = f"{name} needs continuous times, and those of {of_schedule} are integers"
        yield ("schedule", "use"), what, 'use a continuous schedule, such as "vp-continuous"'
    elif info.last_time is not None and info.last_time < needs.fewest_times:
        what = f"{name} needs {needs.fewest_times} times, and {of_schedule} has {info.last_time:g}"
        yield ("schedule",), what, "use a schedule with more times, or fewer steps in [objective]"


def _network(reader: Reader, backbone: ComponentConfig) -> BackboneInfo | None:
    return reader.ask(("backbone",), _info, backbone, BackboneInfo)


def _samplers(
    reader: Reader,
    objective: ComponentConfig,
    needs: ObjectiveInfo,
    sample: Samples,
    *,
    train: TrainSettings | None,
) -> Iterator[Finding]:
    """Samplers can use the network that is trained; the first one scores during training too."""
    trained = (objective.component.name, needs)
    for index, (use, settings) in enumerate(sample):
        path: Path = ("sample", index)
        info = reader.ask(path, _info, use, SamplerInfo)
        if info is None:
            continue
        sampler = (use.component.name, info)
        for option, what, remedy in misfits(sampler, trained, steps=max(settings.steps, default=1)):
            yield (*path, option), f"steps: {what}" if option == "steps" else what, remedy
        if index > 0 or train is None or train.score_every_epochs is None:
            continue
        for option, what, remedy in misfits(
            sampler, trained, steps=max(train.score_steps, default=1)
        ):
            if option == "steps":
                yield ("train", "score_steps"), f"score_steps: {what}", remedy


def _guidance(
    reader: Reader,
    train: TrainSettings,
    sample: Samples,
    *,
    images: DatasetInfo | None,
    needs: ObjectiveInfo | None,
) -> Iterator[Finding]:
    """Labels are dropped where there are some, and guided samples come from such a training."""
    backbone = dict(reader.components).get(("backbone",))
    network = None if backbone is None else _network(reader, backbone)
    without_classes = None
    if backbone is not None and network is not None and not network.classes:
        without_classes = f"the backbone {backbone.component.name} uses no classes"
    elif images is not None and not images.classes:
        without_classes = "the training images have no classes"
    if train.label_dropout:
        path = ("train", "label_dropout")
        if without_classes is not None:
            yield path, f"label_dropout: {without_classes}", "use classes, or remove label_dropout"
        if needs is not None and needs.sets is not None:
            what = "label_dropout: the objective compares sets of images, each of one class"
            yield path, what, "remove label_dropout, or use another objective"
    for index, (_, settings) in enumerate(sample):
        if settings.guidance in {None, 1.0} or train.label_dropout:
            continue
        what, remedy = "it needs label_dropout in [train]", "write label_dropout = 0.1 there"
        if without_classes is not None:
            what, remedy = without_classes, "use classes and label_dropout"
        yield ("sample", index, "guidance"), f"guidance: {what}", f"{remedy}, or remove guidance"
