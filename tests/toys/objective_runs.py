"""Runs of the toy objectives: in this process, or as a script in several.

torchrun --nproc-per-node 4 objective_runs.py FOLDER plain sets …
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from dddm.recipe.read import read_recipe
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.training.context import RunContext
from dddm.training.event_log import read_events
from dddm.training.events import Subscriber
from dddm.training.processes import ALONE, Processes, join
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.workflow.run import run

TOYS: Final = ("plain", "twice", "taught", "flowing", "sets", "chain", "counting", "features")
RECIPES: Final = (
    "digits_consistency",
    "digits_consistency_ratio",
    "digits_denoising",
    "digits_directly_drifting",
    "digits_drifting",
    "digits_energy_score",
    "digits_flow_matching",
    "digits_mean_flow",
)
"""Recipes of built-in objectives, to be run in a few steps of a small network."""
_SMALL: Final = (
    "backbone.channels=8",
    "train.batch_images=80",
    "train.steps=6",
    "train.ema=0.9",
    "train.flips=true",
    "sample=[]",
)
_TAKES_ESTIMATE: Final = frozenset({"chain"})
_NO_METRIC: Final = frozenset({"flowing", "sets", "chain", "features"})
_DROPS_LABELS: Final = frozenset({"twice"})
_MORE: Final = {
    "digits_directly_drifting": ("objective.rows=10",),
    "digits_drifting": ('objective.features={use="learned", epochs=1}',),
}
_OPTIONS: Final = {"features": 'features = { use = "pixels-8x8" }'}

RECIPE: Final = """\
format = 2
name = "toy-objective"
seed = 5

[data]
use = "digits"

[objective]
use = "toys:{name}"
{options}

[schedule]
use = "{schedule}"

[backbone]
use = "adm"
channels = 8
multipliers = [1, 2]
blocks = 1
attention = [4]
classes = {classes}
estimate = "{estimate}"
second_time = {second_time}
{dropout}

{metric}
[learning_rate]
rate = 2e-3

[train]
steps = {steps}
batch_images = 64
ema = 0.9
flips = true
checkpoint_every_epochs = 1
{label_dropout}
"""


def recipe_text(name: str, *, steps: int = 6, classes: bool = True, dropout: float = 0.0) -> str:
    """A recipe that trains by a toy."""
    return RECIPE.format(
        name=name,
        options=_OPTIONS.get(name, ""),
        steps=steps,
        schedule="vp-continuous" if name == "flowing" else "vp",
        classes=str(classes).lower(),
        estimate="attention" if name in _TAKES_ESTIMATE else "none",
        second_time=str(name == "flowing").lower(),
        metric="" if name in _NO_METRIC else '[metric]\nuse = "l2"\n',
        dropout=f"dropout = {dropout}" if dropout else "",
        label_dropout="label_dropout = 0.3" if name in _DROPS_LABELS else "",
    )


def install_toys(folder: Path) -> None:
    """Make the toys' package look installed, where `folder` is on the path."""
    info = folder / "dddm_toys-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dddm-toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dddm]\ntoys = toy_objectives\n")


def run_toy(
    folder: Path,
    name: str,
    *overrides: str,
    catalogue: Catalogue,
    processes: Processes = ALONE,
    observers: Sequence[Subscriber] = (),
    **text: float | bool,
) -> RunFolder:
    """Run the recipe of a toy, or one that comes with dddm, as `dddm run` does."""
    place = folder / name
    if name in RECIPES:
        recipe = read_recipe(
            name, overrides=(*_SMALL, *_MORE.get(name, ()), *overrides), catalogue=catalogue
        )
    else:
        file = folder / f"{name}.toml"

        def write() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(recipe_text(name, **text))  # type: ignore[arg-type]

        processes.from_main(write)
        recipe = read_recipe(file, overrides=overrides, catalogue=catalogue)
    processes.from_main(lambda: [prepare_folder(recipe, place)])
    context = RunContext(
        recipe=recipe, folder=RunFolder(place), device=torch.device("cpu"), processes=processes
    )
    run(context, observers=observers)
    return context.folder


def losses_of(folder: RunFolder) -> list[float]:
    return [event["loss"] for event in read_events(folder.events, event="step-done")]


def main(words: Sequence[str]) -> None:
    """Run the toys that are named, one after the other, in all processes together."""
    folder, accumulation, *names = words
    torch.set_num_threads(1)
    catalogue = load_catalogue()
    with join(torch.device("cpu")) as processes:
        for name in names:
            run_toy(
                Path(folder),
                name,
                f"train.accumulation_steps={accumulation}",
                catalogue=catalogue,
                processes=processes,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
