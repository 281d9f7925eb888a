"""Whole runs of the tiny recipe in this process, without scores or displays."""

from pathlib import Path

import torch
from command_line import write_tiny
from safetensors.torch import load_file
from torch import Tensor

from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.checkpoint import list_checkpoints
from dddm.training.context import RunContext
from dddm.training.event_log import read_events
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.workflow.run import run

UNSCORED = ('[evaluate]\nfeatures = "pixels"\n', "")


def run_tiny(
    folder: Path, *overrides: str, changes: tuple[tuple[str, str], ...] = (UNSCORED,)
) -> RunFolder:
    """Run the tiny recipe with `--set` overrides, as `dddm run` does."""
    folder.mkdir(exist_ok=True)
    recipe = read_recipe(
        write_tiny(folder, *changes), overrides=overrides, catalogue=load_catalogue()
    )
    place = prepare_folder(recipe, folder / "run")
    run(RunContext(recipe=recipe, folder=place, device=torch.device("cpu")))
    return place


def losses_of(folder: RunFolder) -> list[float]:
    return [event["loss"] for event in read_events(folder.events, event="step-done")]


def newest(folder: RunFolder, group: str) -> dict[str, Tensor]:
    """A group of tensors of the newest checkpoint."""
    tensors: dict[str, Tensor] = load_file(
        list_checkpoints(folder.checkpoints)[0] / f"{group}.safetensors"
    )
    return tensors
