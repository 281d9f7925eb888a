"""The report of a run: one page of HTML that needs no other file."""

import math
import shlex
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import final

from attrs import frozen

from dddm.errors import DddmError
from dddm.interfaces.dataset import Split
from dddm.recipe.model import Recipe, score_info
from dddm.report.charts import COLOURS, Chart, Line, line_chart
from dddm.report.gallery import gather_gallery, gather_progress
from dddm.report.history import History, RunInfo, read_history, read_run_info, run_state
from dddm.report.html import render
from dddm.report.scores import gather_scores
from dddm.report.wording import duration
from dddm.support.files import atomic_write_text
from dddm.support.quantities import counted
from dddm.training.build import build_split
from dddm.training.run_folder import RunFolder

_TASKS = {"train": "training", "sample": "sampling", "evaluate": "scores"}
_LARGEST_SMALL_PIXELS = 32


def write_report(recipe: Recipe, *, folder: RunFolder) -> Path:
    """Write `report.html`, whole or not at all, and return its path.

    It shows whatever the folder holds by now; what is missing or damaged is said on the page.

    Args:
        recipe: of the run; its data set is opened for real images.
        folder: the run's.

    Raises:
        EnvironmentProblem: if the page cannot be written.
    """
    real: Split | None = None
    no_real = ""
    try:
        real = build_split(recipe)
    except DddmError as error:
        no_real = f"Real images to compare with are missing: {error.what}."
    atomic_write_text(folder.report, run_page(recipe, folder=folder, real=real, no_real=no_real))
    return folder.report


def run_page(recipe: Recipe, *, folder: RunFolder, real: Split | None, no_real: str = "") -> str:
    """The page as HTML.

    Args:
        real: the training images; None where they cannot be read.
        no_real: why not, a sentence.
    """
    info, history = read_run_info(folder), read_history(folder.events)
    panels, damage = gather_gallery(recipe, folder=folder, real=real)
    progress, progress_total = gather_progress(folder)
    scores = gather_scores(recipe, path=folder.scores)
    place = {name: k for k, name in enumerate(scores.samplers)}
    panels = sorted(panels, key=lambda panel: place.get(panel.sampler, len(place)))
    state = run_state(
        recipe,
        folder=folder,
        history=history,
        has_scores=bool(scores.tables or scores.checks),
    )
    return render(
        "run_page.html.j2",
        recipe=recipe,
        info=info,
        history=history,
        damage=[sentence for sentence in (info.damage, history.damage, *damage) if sentence],
        state=state,
        facts=head_facts(recipe, history=history, info=info),
        small_images=info.image_shape is None or max(info.image_shape) <= _LARGEST_SMALL_PIXELS,
        panels=panels,
        no_real=no_real,
        scores=scores,
        training=training_charts(recipe, history),
        diagnosis=recipe.needs.diagnosis,
        diagnosis_verdict=diagnosis_verdict(recipe, history),
        diagnosis_chart=diagnosis_chart(recipe, history),
        progress=progress,
        progress_total=progress_total,
        recipe_text=_read_text(folder.recipe),
        command=repeat_command(folder),
    )


@final
@frozen
class Fact:
    """A fact at the head of the page, and what is added to it in small print."""

    name: str
    text: str
    more: str = ""


def head_facts(recipe: Recipe, *, history: History, info: RunInfo) -> list[Fact]:
    """Epochs, parameters, speed, time, device and date, as far as they are known."""
    done = history.epochs_done
    total = history.whole("total_epochs") or recipe.train.epochs
    epochs = counted(done, "epoch")
    if total is not None:
        epochs = counted(total, "epoch") if done >= total else f"{done:,} of {total:,} epochs"
    steps = history.whole("total_steps")
    of_steps = ""
    if steps is not None:
        more = f"{history.steps_done:,} of {steps:,} steps"
        of_steps = counted(steps, "step") if history.trained else more
    facts = [Fact("training", epochs, of_steps)]
    parameters = history.whole("parameters")
    if parameters is not None:
        facts.append(Fact("parameters", f"{parameters:,}", recipe.backbone.component.name))
    speed = history.images_per_second
    if speed is not None:
        facts.append(Fact("speed", f"{speed:,.0f} images/s", "in training, median"))
    seconds = {task: info.seconds[key] for key, task in _TASKS.items() if key in info.seconds}
    if seconds:
        parts = [f"{duration(spent)} {task}" for task, spent in seconds.items()]
        facts.append(Fact("time", duration(sum(seconds.values())), ", ".join(parts)))
    device = info.machine.get("device") or history.start.get("device")
    if device is not None:
        machine = [info.machine["name"]] if "name" in info.machine else []
        if (threads := info.machine.get("threads")) is not None:
            machine.append(f"{threads} CPU thread{'' if threads == '1' else 's'}")
        facts.append(Fact("device", str(device), ", ".join(machine)))
    if info.created is not None:
        day, _, clock = info.created.partition(", ")
        facts.append(Fact("started", day, clock))
    return facts


def training_charts(recipe: Recipe, history: History) -> list[Chart]:
    """Loss, learning rate, and scores during training, as far as they were logged."""
    charts = [loss_chart(recipe, history.losses), _learning_rate_chart(recipe, history)]
    charts.append(_score_chart(recipe, history.scores))
    return [chart for chart in charts if chart is not None]


def loss_chart(recipe: Recipe, losses: dict[int, float]) -> Chart | None:
    """Losses and their running mean; those that a log axis cannot show are left out."""
    points = [(step, loss) for step, loss in losses.items() if 0 < loss < math.inf]
    half = len(points) // 80
    sums = [0.0, *accumulate(loss for _, loss in points)]
    means = []
    for k, (step, _) in enumerate(points):
        # As many steps before as after, but for both ends: a mean of the past would lag behind.
        first, end = max(0, k - half), min(len(points), k + half + 1)
        means.append((step, (sums[end] - sums[first]) / (end - first)))
    caption = f"Loss of {recipe.objective.component.name}"
    if recipe.metric is not None:
        caption += f" with {recipe.metric.component.name}"
    caption += ", mean over each batch, on a logarithmic axis"
    if half:
        caption += f"; strong: mean over {counted(2 * half + 1, 'logged step')} around each"
    return line_chart(
        [*([Line(points=points, faint=True)] if half else []), Line(points=means)],
        title="loss",
        x_label="steps",
        description="Loss over training steps, on a logarithmic axis",
        caption=f"{caption}.",
        log_y=True,
    )


def _learning_rate_chart(recipe: Recipe, history: History) -> Chart | None:
    rates = [(step, rate) for step, rate in history.learning_rates.items() if math.isfinite(rate)]
    return line_chart(
        [Line(points=rates, colour=2, stairs=True)],
        title="learning rate",
        x_label="steps",
        description="Learning rate over training steps",
        caption=f"Learning rate of {recipe.optimizer.component.name}.",
        from_zero=True,
    )


def _score_chart(recipe: Recipe, scores: dict[int, dict[int, float]]) -> Chart | None:
    name, title = "Score", "score during training"
    if recipe.evaluate is not None:
        measure = score_info(recipe.evaluate.scores[0]).measures[0]
        name, title = measure.words, f"{measure.words} during training"
        if measure.better != "neither":
            title += f"; {measure.better} is better"
    return line_chart(
        [
            Line(name=counted(steps, "step"), points=sorted(line.items()), colour=k % COLOURS + 1)
            for k, (steps, line) in enumerate(scores.items())
        ],
        title=title,
        x_label="epochs",
        description=f"{name} over training epochs",
        caption=f"Of {counted(recipe.train.score_images, 'sample')} at a time, so numbers may "
        "differ from the scores above: compare epochs of this run by them.",
        from_zero=True,
    )


def diagnosis_chart(recipe: Recipe, history: History) -> Chart | None:
    """The objective's diagnosis over the epochs, as it declares it; None where there is none."""
    facts = recipe.needs.diagnosis
    if facts is None:
        return None
    names = [name for name, _ in (*facts.curves, *([facts.floor] if facts.floor else []))]
    points = {
        epochs: numbers
        for epochs, numbers in history.diagnoses.items()
        if all(name in numbers for name in names)
    }
    floor_name, floor = facts.floor or ("", "")
    # The floor does not change with training: a line across says so at one point too.
    floors = (
        [median(numbers[floor_name] for numbers in points.values())] if floor and points else []
    )
    words = " and ".join(words for _, words in facts.curves)
    return line_chart(
        [
            Line(
                name=words,
                points=[(epochs, numbers[name]) for epochs, numbers in points.items()],
                colour=k % COLOURS + 1,
            )
            for k, (name, words) in enumerate(facts.curves)
        ],
        title=facts.measured,
        x_label="epochs",
        description=f"{facts.measured} over epochs: {words}{f', with {floor}' if floor else ''}",
        from_zero=True,
        floors=floors,
        floor=floor,
        fewest_points=1,
    )


def diagnosis_verdict(recipe: Recipe, history: History) -> str:
    """What the objective makes of its last diagnosis; empty where it says nothing."""
    facts, diagnoses = recipe.needs.diagnosis, history.diagnoses
    if facts is None or facts.judge is None or not diagnoses:
        return ""
    return facts.judge(diagnoses[max(diagnoses)]) or ""


def repeat_command(folder: RunFolder) -> str:
    """What repeats the run, for a shell."""
    # `.` and `..` have no name that another folder's could be made of.
    path = folder.path if folder.path.name not in {"", ".."} else folder.path.resolve()
    again = path.with_name(f"{path.name}-again")
    return f"dddm run {shlex.quote(str(folder.recipe))} --folder {shlex.quote(str(again))}"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
