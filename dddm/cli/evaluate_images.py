"""`dddm evaluate --images PATH --against WHAT`: scores of images that no run of ours drew."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dddm.errors import UsageError
from dddm.recipe.evaluation import read_evaluation
from dddm.recipe.read import read_recipe
from dddm.train.launch import local_rank
from dddm.train.run_folder import RunFolder, is_run

if TYPE_CHECKING:
    from dddm.evaluate.record import ScoreRecord
    from dddm.interfaces.observer import Event
    from dddm.recipe.model import Evaluation, Recipe
    from dddm.registry.catalogue import Catalogue


def how_to_score(
    against: str, *, preset: str | None, catalogue: "Catalogue"
) -> tuple["Recipe | None", "Evaluation"]:
    """The recipe whose data images are compared with, None for images at a path; and the scores.

    Raises:
        UsageError: if nothing says how to score.
        RecipeError: if there is no such recipe or preset, or it is wrong.
    """
    recipe = _recipe(against, preset=preset, catalogue=catalogue)
    if recipe is not None and recipe.evaluate is not None:
        return recipe, recipe.evaluate
    if preset is None:
        from dddm.recipe.shipped import preset_names

        raise UsageError(
            "nothing says how to score: what stands after --against has no table [evaluate]",
            where=f"--against {against}",
            remedy=f"choose a preset: --preset {' or '.join(preset_names())}",
        )
    return recipe, read_evaluation(preset, catalogue=catalogue)


def _recipe(against: str, *, preset: str | None, catalogue: "Catalogue") -> "Recipe | None":
    """A recipe's file or name, or a run's folder; None for images."""
    path = Path(against)
    folder = RunFolder(path)
    if is_run(folder):
        return read_recipe(folder.recipe, preset=preset, catalogue=catalogue)
    if path.is_dir() or path.suffix.lower() in {".npz", ".zip"}:
        return None
    return read_recipe(against, preset=preset, catalogue=catalogue)


def score_folder(
    images: Path,
    *,
    against: str,
    how: tuple["Recipe | None", "Evaluation"],
    device: str,
    catalogue: "Catalogue",
) -> "tuple[ScoreRecord, ...] | None":
    """The scores; None in a process that is not the first."""
    from dddm.cli.image_progress import image_progress
    from dddm.evaluate.evaluator import Bench
    from dddm.evaluate.score_images import images_at, open_real, score_images
    from dddm.interfaces.observer import DataProgress, Notice
    from dddm.train.device import choose_device
    from dddm.train.processes import join
    from dddm.train.stopping import stop_on_signals

    recipe, evaluation = how
    chosen, began = choose_device(device, local_rank=local_rank()), time.monotonic()
    with stop_on_signals() as stop, join(chosen) as processes, image_progress() as shown:

        def notify(event: "Event") -> None:
            if not processes.main:
                return
            if isinstance(event, DataProgress):
                shown(event.what, event.done, event.total)
            elif isinstance(event, Notice):
                click.echo(event.text, err=True)

        bench = Bench(
            notify=notify,
            clock=lambda: time.monotonic() - began,
            device=chosen,
            stop=stop,
            processes=processes,
        )
        data = images_at(Path(against), catalogue=catalogue) if recipe is None else recipe.data
        real = open_real(data, bench=bench)
        scores = score_images(
            images, evaluation=evaluation, real=real, catalogue=catalogue, bench=bench
        )
        return scores if processes.main else None
