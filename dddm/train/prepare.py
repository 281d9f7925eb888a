"""Making a run folder, or finding that one belongs to the same run."""

import datetime as dt
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dddm.errors import DataError, RecipeError, UsageError
from dddm.recipe.difference import difference
from dddm.recipe.model import Recipe
from dddm.recipe.read import SINGLE
from dddm.recipe.write import to_toml
from dddm.support.files import atomic_write_text, raise_on_disk_full
from dddm.train.checkpoint import list_checkpoints
from dddm.train.run_folder import RunFolder

TRAINING_TABLES: Final = ("seed", *SINGLE, "train")
"""What decides the weights.  Samples and scores may be asked for anew of a trained run."""


def prepare_folder(recipe: Recipe, path: Path) -> RunFolder:
    """The run folder `path` for `recipe`: a new one, or the one that this recipe began.

    Raises:
        RecipeError: if the folder's run was trained by another recipe, with the difference.
        UsageError: if the folder holds something else.
        EnvironmentProblem: if it cannot be made.
    """
    folder = RunFolder(path)
    if path.exists() and not path.is_dir():
        raise UsageError(
            f"{path} is a file, not a folder", remedy="choose another place with --folder"
        )
    if folder.recipe.exists():
        _refuse_other_recipe(recipe, folder)
    elif path.exists() and any(path.iterdir()):
        raise UsageError(
            f"{path} is not empty and is no run folder: it has no recipe.toml",
            remedy="choose another place with --folder",
        )
    else:
        with raise_on_disk_full(path):
            path.mkdir(parents=True, exist_ok=True)
    atomic_write_text(folder.recipe, to_toml(recipe))
    facts: dict[str, Any] = {"name": recipe.name, "recipe_sha256": recipe.fingerprint}
    if "created" not in folder.read_about():
        facts["created"] = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    folder.note_about(**facts)
    return folder


def _refuse_other_recipe(recipe: Recipe, folder: RunFolder) -> None:
    try:
        saved = tomllib.loads(folder.recipe.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"the run's saved recipe cannot be read: {error}",
            where=str(folder.recipe),
            remedy="restore it from a copy, or choose another folder with --folder",
        ) from error
    current = tomllib.loads(to_toml(recipe))
    changes = difference(_training(saved), _training(current))
    if changes:
        raise RecipeError(
            "this run folder belongs to another recipe:\n"
            + "\n".join(f"    {change}" for change in changes),
            where=str(folder.recipe),
            remedy=_ways_out(folder),
        )


def _ways_out(folder: RunFolder) -> str:
    ways = (
        "choose another folder with --folder, or give the recipe that the run began with: "
        f"dddm run {folder.recipe} --folder {folder.path}"
    )
    if list_checkpoints(folder.checkpoints):
        return ways
    return f"nothing was trained there yet: remove {folder.path}; or {ways}"


def _training(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tables[name] for name in TRAINING_TABLES if name in tables}
