"""What the page shows, in its order; the template only lays it out."""

import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

import torch
from attrs import frozen

from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe
from dddm.run.folder import RunFolder
from dddm.tasks.report_page.charts import (
    Chart,
    leak_chart,
    learning_rate_chart,
    loss_chart,
    score_charts,
)
from dddm.tasks.report_page.curves import curve, leak_curves
from dddm.tasks.report_page.gather import Gathered, ShownSamples, TrainingLog
from dddm.tasks.report_page.grids import (
    COLUMNS,
    Picture,
    columns_for,
    grid_picture,
    picture_in,
    real_beside,
)
from dddm.tasks.report_page.neighbours import nearest_in
from dddm.tasks.report_page.score_rows import (
    NearestRow,
    ScoreTable,
    nearest_rows,
    score_table,
)
from dddm.tasks.report_page.wording import date, duration, state

_TASKS: Final = {"train": "training", "sample": "sampling", "evaluate": "scoring"}
_MOST_PROGRESS: Final = 24
_SHORT_NAME: Final = 3


@final
@frozen(kw_only=True)
class Captioned:
    """A picture with what is said beneath it."""

    picture: Picture
    caption: str


@final
@frozen(kw_only=True)
class SampleSet:
    """One set of samples beside real images.

    Attributes:
        columns: names of the classes, one over each column; empty where columns are no classes or
            the names are too long to stand there.
        real: None where the data set cannot be read.
    """

    title: str
    columns: tuple[str, ...]
    generated: Captioned
    real: Captioned | None


@final
@frozen(kw_only=True)
class NeighbourPictures:
    """Generated images over their nearest training images."""

    title: str
    generated: Picture
    nearest: Picture
    looked_through: int
    of: int


@final
@frozen(kw_only=True)
class Page:
    """All that the template needs.

    Attributes:
        state: of a run that is not done, in a sentence; None of one that is.
        summary: names and values.
        problems: sentences on what is damaged.
        recipe_text: None where the folder has no recipe.
    """

    name: str
    sentence: str
    state: str | None
    problems: tuple[str, ...]
    summary: tuple[tuple[str, str], ...]
    sample_sets: tuple[SampleSet, ...]
    scores: ScoreTable | None
    score_charts: tuple[Chart, ...]
    training_charts: tuple[Chart, ...]
    leak: Chart | None
    progress: tuple[Captioned, ...]
    progress_left_out: int
    nearest: tuple[NearestRow, ...]
    neighbours: NeighbourPictures | None
    notices: tuple[str, ...]
    recipe_text: str | None
    fingerprint: str
    versions: tuple[tuple[str, str], ...]
    command: str


def make_page(
    recipe: Recipe, gathered: Gathered, *, folder: RunFolder, split: Split | None
) -> Page:
    """Everything that a run's page shows.

    Args:
        split: the training images; None where they cannot be read.
    """
    log = gathered.log
    rate = learning_rate_chart(curve(log.steps, x="step", y="learning_rate"))
    charts = (loss_chart(curve(log.steps, x="step", y="loss")), rate)
    progress = _progress(gathered)
    return Page(
        name=recipe.name,
        sentence=_sentence(recipe, log),
        state=state(log, epochs=recipe.train.epochs),
        problems=gathered.problems,
        summary=tuple(_summary(recipe, gathered)),
        sample_sets=tuple(_sample_set(one, split) for one in gathered.samples),
        scores=score_table(gathered.scores),
        score_charts=tuple(score_charts(gathered.scores)),
        training_charts=tuple(chart for chart in charts if chart is not None),
        leak=leak_chart(leak_curves(log.epochs)),
        progress=progress,
        progress_left_out=len(gathered.progress) - len(progress),
        nearest=nearest_rows(gathered.scores),
        neighbours=_neighbours(gathered.samples, split),
        notices=log.notices,
        recipe_text=gathered.recipe_text,
        fingerprint=recipe.fingerprint,
        versions=_pairs(gathered.about.get("versions")),
        command=_command(folder),
    )


def _sentence(recipe: Recipe, log: TrainingLog) -> str:
    images = "" if log.started is None else f" {log.started['train_images']:,} images of"
    return (
        f"A directly denoising diffusion model of{images} {recipe.data.component.name}: "
        f"backbone {recipe.backbone.component.name}, schedule {recipe.schedule.component.name}, "
        f"metric {recipe.metric.component.name}, targets in {recipe.targets.component.name}, "
        f"batches of {recipe.train.batch_images:,}."
    )


def _summary(recipe: Recipe, gathered: Gathered) -> Iterable[tuple[str, str]]:
    log, about = gathered.log, gathered.about
    done = log.epochs[-1]["epoch"] + 1 if log.epochs else 0
    whole = recipe.train.epochs
    yield "epochs", f"{done:,}" if done >= whole else f"{done:,} of {whole:,}"
    if log.started is not None:
        yield "parameters", f"{log.started['parameters']:,}"
    rates = [step["images_per_second"] for step in log.steps if step.get("images_per_second")]
    if rates:
        yield "images/s", f"{statistics.median(rates):,.0f}"
    seconds = _mapping(about.get("seconds"))
    for task, name in _TASKS.items():
        if isinstance(seconds.get(task), int | float):
            yield name, duration(seconds[task])
    machine = _mapping(about.get("machine"))
    device = machine.get("device") or (log.started or {}).get("device")
    if device:
        kind = machine.get("name")
        yield "device", f"{device} ({kind})" if kind else str(device)
    if isinstance(about.get("created"), str):
        yield "begun", date(about["created"])


def _sample_set(samples: ShownSamples, split: Split | None) -> SampleSet:
    facts, count = samples.facts, len(samples.images)
    classes = tuple(str(name) for name in facts.get("classes") or ())
    columns = columns_for(samples.label, classes=classes)
    by_class = samples.label is not None and columns == len(classes)
    title = _title(facts)
    order = f"  Columns are classes: {', '.join(classes)}." if by_class else ""
    caption = f"{_first(count, facts['images'])} generated images{_seed(facts)}.{order}"
    generated = grid_picture(samples.images, columns=columns, alt=f"Generated images: {title}")
    real = None
    if split is not None:
        images = real_beside(split, label=samples.label, count=count)
        same = ", in the same order of classes" if samples.label is not None else ""
        real = Captioned(
            picture=grid_picture(images, columns=columns, alt="Real training images"),
            caption=f"{count:,} real training images{same}.",
        )
    short = by_class and all(len(name) <= _SHORT_NAME for name in classes)
    return SampleSet(
        title=title,
        columns=classes if short else (),
        generated=Captioned(picture=generated, caption=caption),
        real=real,
    )


def _title(facts: Mapping[str, Any]) -> str:
    steps = facts["steps"]
    return f"{facts['sampler']}, {steps:,} {'step' if steps == 1 else 'steps'}"


def _first(count: int, images: int) -> str:
    return f"All {count:,}" if count == images else f"The first {count:,} of {images:,}"


def _seed(facts: Mapping[str, Any]) -> str:
    parts = []
    if "seed" in facts:
        parts.append(f"seed {facts['seed']}")
    checkpoint = _mapping(facts.get("checkpoint"))
    if "step" in checkpoint:
        parts.append(f"weights of step {checkpoint['step']:,}")
    if facts.get("ema"):
        parts.append("averaged")
    options = _mapping(facts.get("sampler_options"))
    parts += [f"{name} = {value}" for name, value in options.items()]
    return f" ({', '.join(parts)})" if parts else ""


def _progress(gathered: Gathered) -> tuple[Captioned, ...]:
    """At most `_MOST_PROGRESS` grids, evenly spaced, the last one among them."""
    paths = list(gathered.progress)
    if len(paths) > _MOST_PROGRESS:
        stride = (len(paths) - 1) / (_MOST_PROGRESS - 1)
        paths = [paths[round(k * stride)] for k in range(_MOST_PROGRESS)]
    shown = []
    for path in paths:
        epoch = path.stem.removeprefix("epoch-").lstrip("0") or "0"
        event = gathered.log.grids.get(path.name)
        how = "" if event is None else f" ({_title(event)})"
        picture = picture_in(path, alt=f"Samples after epoch {epoch}")
        if picture is not None:
            shown.append(Captioned(picture=picture, caption=f"After epoch {epoch}{how}"))
    return tuple(shown)


def _neighbours(samples: Sequence[ShownSamples], split: Split | None) -> NeighbourPictures | None:
    """Of the set that stands first at its largest step count, the first two rows of ten."""
    if not samples or split is None:
        return None
    sampler = samples[0].facts["sampler"]
    chosen = [one for one in samples if one.facts["sampler"] == sampler][-1]
    if chosen.images.shape[1:] != split.images(torch.zeros(1, dtype=torch.int64)).shape[1:]:
        return None
    found = nearest_in(split, generated=chosen.images[:COLUMNS])
    return NeighbourPictures(
        title=_title(chosen.facts),
        generated=grid_picture(found.generated, columns=COLUMNS, alt="Generated images"),
        nearest=grid_picture(found.nearest, columns=COLUMNS, alt="Their nearest training images"),
        looked_through=found.looked_through,
        of=len(split),
    )


def _command(folder: RunFolder) -> str:
    again = folder.path.with_name(f"{folder.path.name}-again")
    return shlex.join(["dddm", "run", str(folder.recipe), "--folder", str(again)])


def _pairs(table: object) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in _mapping(table).items())


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
