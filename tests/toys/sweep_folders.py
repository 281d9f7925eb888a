"""A sweep of toy recipes, and entries' folders as finished runs leave them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from measures import measure_of
from report_runs import log_events, stopped, training_events
from toy_plugins import RECIPE, toy_catalogue

from dddm.evaluate.record import DEVIATION, ScoreRecord, scores_to_text
from dddm.interfaces.measurement import Baseline, Floor
from dddm.recipe.sweep import Entry, EntryRun, Sweep, read_recipe_or_sweep
from dddm.recipe.write import to_toml
from dddm.training.run_folder import RunFolder

ENTRIES = """
[[sweep]]
name = "far"
metric = { use = "far" }

[[sweep]]
name = "slow_1"
seed = 4
[[sweep.sample]]
use = "steps"
size = 7
steps = [1, 2]
images = 8

[[sweep]]
name = "last"
metric = { rate = 0.75 }
"""


def make_sweep(folder: Path, *, training_seeds: Sequence[int] = ()) -> Sweep:
    """Three entries; the second draws samples at 1 and 2 steps alone, the others at 3 too."""
    file = folder / "toy.toml"
    text = RECIPE + ENTRIES
    if training_seeds:
        text = f"training_seeds = {list(training_seeds)}\n" + text.replace("seed = 4\n", "")
    file.write_text(text)
    found = read_recipe_or_sweep(file, catalogue=toy_catalogue())
    assert isinstance(found, Sweep)
    return found


def score(
    metric: str, steps: int, value: float, *, images: int = 8, deviation: float | None = None
) -> ScoreRecord:
    return ScoreRecord(
        measure=measure_of(metric),
        name=f"{metric}-pixels@{images}",
        value=value,
        sampler="steps",
        steps=steps,
        images=images,
        reference_images=100,
        floors=(Floor(name="resample", value=0.5, images=images),),
        baselines=(Baseline(name="blurred-2", words="half", value=70.25 + steps, images=images),)
        if metric == "fd"
        else (),
        details={} if deviation is None else {DEVIATION: deviation},
    )


def begin(entry: Entry | EntryRun, folder: Path) -> RunFolder:
    """Its run folder, in which nothing was done yet."""
    run = RunFolder(folder / entry.name)
    run.path.mkdir(parents=True)
    run.recipe.write_text(to_toml(entry.recipe))
    run.note_about(name=entry.recipe.name, recipe_sha256=entry.recipe.fingerprint)
    return run


def finish(
    entry: Entry | EntryRun,
    folder: Path,
    *,
    fd: Mapping[int, float],
    images: int = 8,
    deviation: float | None = None,
) -> RunFolder:
    """Its run folder, finished, with a Fréchet distance and a nearest one at each step count."""
    run = begin(entry, folder)
    run.note_about(
        scored=entry.recipe.tables["evaluate"],
        seconds={"train": 61.5, "sample": 3.25, "evaluate": 0.5},
    )
    log_events(run, [*training_events(run), stopped("finished", step=12, message="see it")])
    for steps in (1, 2, 3):
        place = run.samples / f"steps-{steps}"
        place.mkdir(parents=True)
        (place / "manifest.json").write_text("{}")
    scores = [
        one
        for steps, value in fd.items()
        for one in (
            score("fd", steps, value, images=images, deviation=deviation),
            score("nearest", steps, 2.5),
        )
    ]
    run.scores.write_text(scores_to_text(scores))
    checkpoint = run.checkpoints / "step-00000012"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text(json.dumps({"entry": entry.name}))
    run.report.write_text("<html></html>")
    return run
