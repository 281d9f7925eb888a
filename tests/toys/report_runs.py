"""Run folders with real digits as their samples and the events of a short run, for the report."""

import functools
import json
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, final

import torch
from measures import measure_of
from sample_folders import write_samples

from dddm.evaluate.record import ScoreRecord, scores_to_text
from dddm.generate.storage import Samples
from dddm.interfaces.dataset import Split
from dddm.interfaces.measurement import Baseline, Floor
from dddm.interfaces.observer import EpochDone, Event, RunStarted, RunStopped, StepDone
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue
from dddm.support.images import grid, png_bytes
from dddm.training.build import build_split
from dddm.training.event_log import EventLog
from dddm.training.run_folder import RunFolder

EPOCHS = 4
STEPS = 12
OVERRIDES = (
    f"train.epochs={EPOCHS}",
    "train.batch_images=500",
    "sample.0.steps=[1, 10]",
    "sample.0.images=120",
    "sample.1.images=120",
)
SETS = (("fixed-time", 1), ("fixed-time", 10), ("annealed", 10))


@functools.cache
def make_recipe(*overrides: str) -> Recipe:
    """The digits recipe with four epochs and three small sets of samples."""
    return read_recipe("digits", overrides=[*OVERRIDES, *overrides], catalogue=load_catalogue())


@functools.cache
def digits() -> Split:
    """The real digits."""
    return build_split(make_recipe())


def begin_run(path: Path, recipe: Recipe) -> RunFolder:
    """A folder in which nothing has happened yet."""
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    folder.recipe.write_text(to_toml(recipe), encoding="utf-8")
    folder.note_about(
        name=recipe.name,
        created="2026-01-05T14:03:00+00:00",
        image_shape={"channels": 1, "height": 8, "width": 8},
        classes=[str(digit) for digit in range(10)],
        versions={"python": "3.11.9", "torch": "2.6.0"},
        machine={"device": "cpu", "name": "x86_64", "threads": 1},
        seconds={"train": 61.5, "sample": 3.25, "evaluate": 0.5},
    )
    return folder


def log_events(folder: RunFolder, events: Iterable[Event]) -> None:
    """Append events to the run's log."""
    log = EventLog(folder.events)
    for event in events:
        log.on_event(event)
    log.close()


def training_events(folder: RunFolder, *, steps: int = STEPS) -> list[Event]:
    """Events of the first `steps` of twelve steps, three an epoch, with the leak diagnostic."""
    events: list[Event] = [
        RunStarted(
            seconds=0.0,
            name="digits",
            folder=folder.path,
            total_steps=STEPS,
            total_epochs=EPOCHS,
            batch_images=500,
            first_step=0,
            device="cpu",
            parameters=361_234,
            train_images=1500,
            stale_images=0,
            store_memory_bytes=384_000,
            store_disk_bytes=0,
            store_device_bytes=0,
        )
    ]
    for step in range(1, steps + 1):
        epoch = (step - 1) // 3
        events.append(
            StepDone(
                seconds=float(step),
                step=step,
                epoch=epoch,
                loss=2.0 / step,
                learning_rate=2e-3 if step < 9 else 5e-4,
                gradient_norm=1.0,
                images_per_second=None if step == 1 else 1000.0 + step,
                seconds_left=None,
            )
        )
        if step % 3 == 0:
            diagnosis = {
                "given_store": 0.3 / (epoch + 1),
                "given_noise": 0.3 + 0.1 * epoch,
                "data_variance": 0.29,
                "lipschitz": 0.5,
            }
            events.append(
                EpochDone(
                    seconds=float(step), epoch=epoch, step=step, loss=1.0, diagnosis=diagnosis
                )
            )
    return events


def stopped(reason: str, *, step: int, message: str) -> RunStopped:
    """The event that ends a run."""
    return RunStopped(seconds=99.0, reason=reason, step=step, message=message)


def put_samples(
    folder: RunFolder,
    split: Split,
    *,
    sampler: str,
    steps: int,
    images: int = 120,
    labels: bool = True,
) -> None:
    """Store real digits as the samples of a sampler, classes in turn as sampling gives them."""
    label_all = split.labels(torch.arange(len(split)))
    assert label_all is not None
    label = torch.arange(images) % 10
    nth = [torch.nonzero(label_all == k).flatten() for k in range(10)]
    index = torch.tensor([int(nth[int(k)][i // 10 + steps]) for i, k in enumerate(label)])
    facts = {
        "sampler": sampler,
        "sampler_id": f"dddm:{sampler}",
        "sampler_options": {"clamp": True},
        "steps": steps,
        "evaluations": steps,
        "images": images,
        "seed": 7,
        "classes": [str(digit) for digit in range(10)] if labels else [],
        "checkpoint": {"step": STEPS, "sha256": "c" * 64},
        "change_of_estimate": {"steps": [1, 2], "median": [0.5, 0.1], "largest": [0.9, 0.3]},
    }
    samples = Samples(images=split.images(index), label=label if labels else None, facts=facts)
    write_samples(folder.samples / f"{sampler}-{steps}", samples, columns=10)


def put_progress(folder: RunFolder, split: Split, *, epochs: Sequence[int]) -> None:
    """Grids as they are drawn during training."""
    folder.progress.mkdir(exist_ok=True)
    for epoch in epochs:
        drawn = grid(split.images(torch.arange(60)), columns=10)
        (folder.progress / f"epoch-{epoch:05d}.png").write_bytes(png_bytes(drawn))


def make_scores() -> list[ScoreRecord]:
    """Two scores for each set, of values that no other number of the page has by chance."""
    provenance: dict[str, Any] = {
        "features": {"id": "dddm:digits-classifier", "trained_on": "digits"},
        "warnings": ["training may have fitted what the score looks at"],
    }
    scores = []
    for k, (sampler, steps) in enumerate(SETS):
        shared: dict[str, Any] = {
            "sampler": sampler,
            "steps": steps,
            "images": 120,
            "reference_images": 1500,
            "provenance": provenance,
        }
        scores.append(
            ScoreRecord(
                measure=measure_of("fd"),
                name="fd-digits-classifier@120",
                value=[58.7654321, 5.4321987, 0.6543219][k],
                floors=(
                    Floor(name="resample", value=0.28374651, images=120),
                    Floor(
                        name="held-out", value=0.73918264, images=97, generated_value=61.2837465 - k
                    ),
                ),
                baselines=(
                    Baseline(
                        name="class-gaussian",
                        words="a Gaussian for each class",
                        value=19.2192837,
                        images=120,
                    ),
                ),
                **shared,
            )
        )
        scores.append(
            ScoreRecord(
                measure=measure_of("nearest"),
                name="nearest-digits-classifier@120",
                value=2.5123456 + k,
                floors=(Floor(name="held-out", value=2.4718293, images=297),),
                details={
                    "held_out_median": 2.4718293,
                    "close_threshold": 0.9,
                    "close_share": 0.0123 * (k + 1),
                },
                **shared,
            )
        )
    return scores


def put_scores(folder: RunFolder, scores: Iterable[ScoreRecord] | None = None) -> None:
    """Write `scores.json`."""
    text = scores_to_text(make_scores() if scores is None else scores)
    folder.scores.write_text(text, encoding="utf-8")


def finished_run(path: Path) -> tuple[Recipe, RunFolder]:
    """A run of which everything is there."""
    recipe = make_recipe()
    folder = begin_run(path, recipe)
    split = digits()
    log_events(folder, training_events(folder))
    for sampler, steps in SETS:
        put_samples(folder, split, sampler=sampler, steps=steps)
    put_progress(folder, split, epochs=(2, 4))
    put_scores(folder)
    return recipe, folder


_VOID = {"meta", "img", "br", "link", "hr", "input"}


@final
class Page(HTMLParser):
    """A page taken apart, whose tags must be closed in the order in which they were opened.

    Attributes:
        tags: all tags with their attributes.
        text: everything between tags, in one string, outside styles.
        data: what each `<data>` element says: its exact value, and its text.
        sections: text by section id.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.data: list[tuple[float, str, str]] = []
        self.sections: dict[str, str] = {}
        self._open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag."""
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = found["id"]
        if tag == "data":
            self.data.append((json.loads(found["value"]), "", self._section))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag of SVG that closes itself."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close a tag."""
        assert self._open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        """Take text."""
        if self._open and self._open[-1] == "style":
            return
        self.text += data
        self.sections[self._section] = self.sections.get(self._section, "") + data
        if self._open and self._open[-1] == "data":
            value, text, section = self.data[-1]
            self.data[-1] = (value, text + data, section)

    def words(self, section: str | None = None) -> str:
        """The text, or that of a section, with single spaces."""
        return " ".join((self.text if section is None else self.sections[section]).split())

    def named(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all tags of one name."""
        return [attributes for name, attributes in self.tags if name == tag]
