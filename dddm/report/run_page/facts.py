"""What stands at the head of the page: what the run is, how large, how fast, where and when."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, final

from attrs import frozen

from dddm.recipe.model import Recipe
from dddm.report.run_page.history import History
from dddm.report.run_page.wording import counted, duration
from dddm.train.run_folder import RunFolder

_TASKS = {"train": "training", "sample": "sampling", "evaluate": "scores"}


@final
@frozen(kw_only=True)
class Fact:
    """A fact with its name, and what is added to it in small print."""

    name: str
    text: str
    more: str = ""


@final
@frozen(kw_only=True)
class About:
    """What `run.json` says; empty where it says nothing.

    Attributes:
        seconds: taken, by task.
        image_shape: (C, H, W).
        damage: one sentence, where the file cannot be read.
    """

    created: str | None = None
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    image_shape: tuple[int, int, int] | None = None
    damage: str | None = None


def read_about(folder: RunFolder) -> About:
    """What `run.json` says; what is missing there or of another type is left out."""
    contents: Any = {}
    damage = None
    try:
        contents = folder.read_about()
    except (OSError, ValueError) as error:
        damage = f"{folder.about.name} cannot be read: {error}"
    if not isinstance(contents, dict):
        contents, damage = {}, f"{folder.about.name} cannot be read: it holds no table"
    seconds = {
        name: float(value)
        for name, value in _table(contents, "seconds").items()
        if isinstance(value, int | float)
    }
    return About(
        created=_date(contents.get("created")),
        seconds=seconds,
        versions={name: str(value) for name, value in _table(contents, "versions").items()},
        machine={name: str(value) for name, value in _table(contents, "machine").items()},
        image_shape=_shape(_table(contents, "image_shape")),
        damage=damage,
    )


def _table(contents: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = contents.get(name)
    return found if isinstance(found, dict) else {}


def _date(text: object) -> str | None:
    """`5 January 2026, 14:03 UTC`, from ISO 8601."""
    try:
        date = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return f"{date.day} {date:%B %Y, %H:%M} {date.tzname() or ''}".strip()


def _shape(values: Mapping[str, Any]) -> tuple[int, int, int] | None:
    shape = tuple(values.get(name) for name in ("channels", "height", "width"))
    if all(isinstance(size, int) for size in shape):
        return shape  # type: ignore[return-value]  # three integers, as was just seen
    return None


def sentence_of(recipe: Recipe, *, history: History, about: About) -> str:
    """What the run is."""
    images = "images"
    if history.train_images is not None:
        images = counted(history.train_images, "image")
    size = ""
    if about.image_shape is not None:
        _, height, width = about.image_shape
        size = f" of {width} × {height} pixels"
    data = recipe.data.component.name
    return (
        f"An image generator, trained on {images}{size} ({data}) by the objective "
        f"{recipe.objective.component.name}.  It turns noise into images."
    )


def facts_of(recipe: Recipe, *, history: History, about: About) -> tuple[Fact, ...]:
    """Epochs, parameters, speed, time, device and date, as far as they are known."""
    total, done = history.total_epochs or recipe.train.epochs, history.epochs_done
    epochs = counted(done, "epoch")
    if total is not None:
        epochs = counted(total, "epoch") if done >= total else f"{done:,} of {total:,} epochs"
    facts = [Fact(name="training", text=epochs, more=_steps(history))]
    if history.parameters is not None:
        text = f"{history.parameters:,}"
        facts.append(Fact(name="parameters", text=text, more=recipe.backbone.component.name))
    if history.images_per_second is not None:
        text = f"{history.images_per_second:,.0f} images/s"
        facts.append(Fact(name="speed", text=text, more="in training, median"))
    parts = [
        f"{duration(about.seconds[key])} {task}"
        for key, task in _TASKS.items()
        if key in about.seconds
    ]
    if parts:
        whole = sum(about.seconds[key] for key in _TASKS if key in about.seconds)
        facts.append(Fact(name="time", text=duration(whole), more=", ".join(parts)))
    device = about.machine.get("device") or history.device
    if device is not None:
        more = [about.machine["name"]] if "name" in about.machine else []
        if "threads" in about.machine:
            threads = about.machine["threads"]
            more.append(f"{threads} CPU thread{'' if threads == '1' else 's'}")
        facts.append(Fact(name="device", text=device, more=", ".join(more)))
    if about.created is not None:
        day, _, clock = about.created.partition(", ")
        facts.append(Fact(name="begun", text=day, more=clock))
    return tuple(facts)


def _steps(history: History) -> str:
    if history.total_steps is None:
        return ""
    if history.trained:
        return counted(history.total_steps, "step")
    return f"{history.steps_done:,} of {history.total_steps:,} steps"
