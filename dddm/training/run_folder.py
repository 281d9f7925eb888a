"""The run folder: the names of everything in it, and making, finding and locking it."""

import datetime as dt
import fcntl
import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

from dddm.errors import DataError, EnvironmentProblem, RecipeError, UsageError
from dddm.recipe.layout import COMPONENT_TABLES, DEFAULTS, DURATIONS
from dddm.recipe.model import Recipe, config_table, with_defaults
from dddm.recipe.write import difference, to_toml
from dddm.support.files import atomic_write_text, raise_on_disk_full, read_file
from dddm.support.json_files import (
    LIST,
    NUMBER,
    OBJECT,
    OPTIONAL,
    TEXT,
    WHOLE,
    check_object,
    check_type,
    read_json,
)


@final
class RunFolder:
    """A run folder.

    | Name | Holds |
    | --- | --- |
    | `recipe.toml` | the checked recipe with every default filled in |
    | `run.json` | name, recipe's fingerprint, versions, seconds taken by each task, what the run
      started from, accumulation steps that were found, and what was changed on the way |
    | `events.jsonl` | one event a line, as in `dddm.interfaces.observer` |
    | `checkpoints/step-00000900/` | one checkpoint each |
    | `best/step-00000900/` | the averaged weights that scored best during training |
    | `memory/estimate/` | what target stores on disk keep, one folder for each field |
    | `progress/epoch-00020.png` | sample grids drawn during training |
    | `samples/fixed-time-100/` | `samples.npz`, `grid.png` and `manifest.json` of one sampler
      at one number of steps |
    | `scores.json` | a list of scores, each with what is needed to repeat it |
    | `observers/tensorboard/` | what an observer writes, one folder for each |
    | `report.html` | the HTML report |
    | `output.log` | what the run printed, where it is one of several at a time |
    | `drawn/` | what `dddm sample` draws |

    Args:
        drawn: another place for samples that are drawn from the run, as where it is not the user's.
    """

    def __init__(self, path: Path, *, drawn: Path | None = None) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.about = path / "run.json"
        self.events = path / "events.jsonl"
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.memory = path / "memory"
        self.progress = path / "progress"
        self.samples = path / "samples"
        self.scores = path / "scores.json"
        self.observers = (drawn or path) / "observers"
        self.report = path / "report.html"
        self.output = path / "output.log"
        self.drawn = drawn or path / "drawn"

    @property
    def foreign(self) -> bool:
        """Whether it is not the user's, as of a run from the Hub: nothing is written there."""
        return not self.drawn.is_relative_to(self.path)

    @property
    def worth_keeping(self) -> tuple[Path, ...]:
        """What a run that has come to something has made."""
        saved = self.checkpoints.glob("step-*")
        return (*saved, self.best, self.samples, self.scores, self.report, self.drawn)

    def refuse_removed(self) -> None:
        """Refuse to go on in a folder that was removed or moved away: a stump would be left.

        Raises:
            EnvironmentProblem: if it has gone.
        """
        if not self.path.is_dir():
            raise EnvironmentProblem(
                "the run folder was removed or moved while the run was at work",
                where=str(self.path),
                remedy="move it back, or remove what is left of it; then give the same command "
                "again, which resumes or starts from the beginning",
            )

    def read_about(self) -> dict[str, Any]:
        """The contents of `run.json`; empty where there is none.

        Raises:
            DataError: if it is damaged.
        """
        try:
            contents = check_object(read_json(self.about), _ABOUT)
            for name, seconds in contents.get("seconds", {}).items():
                check_type(seconds, NUMBER, name=name)
            if "image_shape" in contents:
                _check_shape(contents["image_shape"])
            for name in contents.get("classes", ()):
                check_type(name, TEXT, name="classes")
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise DataError(
                f"run.json is damaged: {error}",
                where=str(self.about),
                remedy="restore it from a copy; or remove it and give the run's `dddm run` command "
                "again, which writes what it needs",
            ) from error
        return contents

    def note_about(self, **facts: Any) -> None:
        """Add facts to `run.json`.

        Raises:
            DataError: if it is damaged.
            EnvironmentProblem: if it cannot be written.
        """
        text = json.dumps({**self.read_about(), **facts}, indent=2, ensure_ascii=False)
        atomic_write_text(self.about, text + "\n")


_ABOUT: Final = {
    "name": TEXT,
    "recipe_sha256": TEXT,
    "created": TEXT,
    "image_shape": OBJECT,
    "classes": LIST,
    "data_manifest": TEXT,
    "versions": OBJECT,
    "machine": OBJECT,
    "processes": WHOLE,
    "accumulation_steps": WHOLE,
    "seconds": OBJECT,
    "scored": (*OBJECT, *OPTIONAL),
    "started_from": OBJECT,
    "changed": LIST,
}
"""What `run.json` may hold."""


def _check_shape(shape: dict[str, Any]) -> None:
    sides = ("channels", "height", "width")
    if set(shape) != set(sides):
        raise ValueError(f"'image_shape' has the entries {', '.join(shape)}")
    for name in sides:
        check_type(shape[name], WHOLE, name=name)
        if not 1 <= shape[name] <= _LARGEST_SIDE:
            raise ValueError(f"{name!r} of 'image_shape' is {shape[name]}")


_LARGEST_SIDE: Final = 1 << 16

TRAINING_TABLES: Final = ("seed", *COMPONENT_TABLES, "train")
"""What decides the weights.  Samples and scores of a trained run may change."""


MAY_CHANGE: Final = frozenset(
    (*DURATIONS, "checkpoint_every_epochs", "keep_checkpoints", "keep_every_epochs",
     "sample_every_epochs", "score_every_epochs", "diagnose_every_epochs", "log_every_steps",
     "sharding")
)  # fmt: skip
"""Keys of `[train]` that a run that was begun may go on with other values of; as may the whole
table `[learning_rate]`."""


def prepare_folder(recipe: Recipe, path: Path) -> RunFolder:
    """The run folder `path` for `recipe`: a new one, or the one that this recipe began.

    What may change on the way is noted in `run.json`, with the step after which it did.  A run that
    ended before its first checkpoint, perhaps because of its recipe, makes room for any other.

    Raises:
        RecipeError: if the folder's run was trained by another recipe, with the difference, or has
            made more steps than this one asks for.
        EnvironmentProblem: if it is to change while it is running.
        UsageError: if the folder holds something else.
        EnvironmentProblem: if it cannot be made.
    """
    folder = RunFolder(path)
    if path.exists() and not path.is_dir():
        raise UsageError(
            f"{path} is a file, not a folder", remedy="choose another place with --folder"
        )
    changes: list[str] = []
    if folder.recipe.exists():
        try:
            changes = _allowed_changes(recipe, folder)
        except RecipeError:
            if any(path.exists() for path in folder.worth_keeping):
                raise
            _clear(folder)
    elif path.exists() and any(path.iterdir()):
        left = {each.name for each in path.iterdir()} <= {".lock", *_names(folder)}
        raise UsageError(
            f"{path} is not empty and is not a run folder: it has no recipe.toml",
            remedy=f"remove {path}, which seems to be left of a run that was removed"
            if left
            else "choose another place with --folder",
        )
    else:
        with raise_on_disk_full(path):
            path.mkdir(parents=True, exist_ok=True)
    if changes:
        with locked(path):  # another process may be running it
            pass
    atomic_write_text(folder.recipe, to_toml(recipe))
    facts: dict[str, Any] = {"name": recipe.name, "recipe_sha256": recipe.fingerprint}
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    about = folder.read_about()
    if "created" not in about:
        facts["created"] = now
    if changes:
        step = 0 if (newest := _newest(folder)) is None else int(newest.name.removeprefix("step-"))
        entry = {"at": now, "step": step, "changes": changes}
        facts["changed"] = [*about.get("changed", ()), entry]
    folder.note_about(**facts)
    return folder


def _clear(folder: RunFolder) -> None:
    """Remove what a run left that came to nothing, but for what the system writes meanwhile."""
    with locked(folder.path):  # another process may be running it
        for name in _names(folder) - {folder.output.name}:
            path = folder.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _names(folder: RunFolder) -> set[str]:
    return {path.name for path in vars(folder).values() if path != folder.path}


def _allowed_changes(recipe: Recipe, folder: RunFolder) -> list[str]:
    """How `recipe` differs from the one that the run was begun with, a line each.

    Raises:
        RecipeError: if it may not.
    """
    try:
        text = read_file(folder.recipe, limit=_LARGEST_RECIPE_BYTES).decode("utf-8")
        saved = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"the run's saved recipe cannot be read: {error}",
            where=str(folder.recipe),
            remedy="restore it from a copy, or choose another folder with --folder",
        ) from error
    current = tomllib.loads(to_toml(recipe))
    before, after = _as_read_now(_training(saved), recipe), _training(current)
    changes = difference(_without_what_may_change(before), _without_what_may_change(after))
    if changes:
        raise RecipeError(
            "this run folder belongs to another recipe:\n"
            + "\n".join(f"    {change}" for change in changes),
            where=str(folder.recipe),
            remedy=_ways_out(folder),
        )
    _refuse_too_late(before, after, folder=folder)
    return difference(before, after)


def _as_read_now(tables: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Stored tables with the defaults of options and tables that came after they were stored."""
    filled = dict(tables)
    for name in COMPONENT_TABLES:
        config, table = getattr(recipe, name), tables.get(name)
        if config is None:
            continue
        if table is None and config.component.id == DEFAULTS.get(name) and config.all_defaults:
            filled[name] = config_table(config)
        if isinstance(table, Mapping) and table.get("use") == config.component.id:
            filled[name] = with_defaults(table, config.options)
    if isinstance(tables.get("train"), Mapping):
        filled["train"] = with_defaults(tables["train"], recipe.train)
    return filled


def _refuse_too_late(
    before: Mapping[str, Any], after: Mapping[str, Any], *, folder: RunFolder
) -> None:
    """Refuse an end that the run has gone past, and another learning rate for no more steps."""
    newest = _newest(folder)
    if newest is None:
        return
    try:
        state = check_object(read_json(newest / "state.json"), {})
        step, total = int(state["step"]), int(state["total_steps"])
        was, new = before["train"], after["train"]
        key = next((name for name in DURATIONS if name in was and name in new), None)
        asked = total if key is None else total * new[key] / was[key]
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError):
        return  # what is wrong with it is said when it is resumed from
    what = None
    if asked < step:
        what = f"this run has made {step:,} steps already, more than {key} = {new[key]} makes"
    elif (
        step >= total
        and all(was.get(name) == new.get(name) for name in DURATIONS)
        and before.get("learning_rate") != after.get("learning_rate")
    ):
        what = "this run is finished, and another learning rate would have no step to act on"
    if what is not None:
        raise RecipeError(
            what,
            where=str(folder.recipe),
            remedy=f"let it go on for longer, such as --set train.steps={2 * step}; or "
            + _ways_out(folder),
        )


def _newest(folder: RunFolder) -> Path | None:
    """The folder of the newest checkpoint; found here, as reading one would import torch."""
    return max(folder.checkpoints.glob("step-" + "[0-9]" * 8), default=None)


def _without_what_may_change(tables: Mapping[str, Any]) -> dict[str, Any]:
    written = tables.get("train")
    train = dict(written) if isinstance(written, Mapping) else {}
    train = {key: value for key, value in train.items() if key not in MAY_CHANGE}
    return {**tables, "train": train, "learning_rate": {}}


def _ways_out(folder: RunFolder) -> str:
    ways = (
        "choose another folder with --folder, or give the recipe that the run began with: "
        f"dddm run {folder.recipe} --folder {folder.path}"
    )
    if any(folder.checkpoints.glob("step-*")):
        return ways
    return f"nothing was trained there yet: remove {folder.path}; or {ways}"


def _training(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tables[name] for name in TRAINING_TABLES if name in tables}


_PARENT = Path("runs")
_LARGEST_RECIPE_BYTES: Final = 16 << 20


def find_run(path: str | None) -> RunFolder:
    """The run folder at `path`; without a path, the newest one under `./runs`.

    A run folder has `recipe.toml` and `run.json`; the newest is the one whose `run.json` was
    written last.

    Raises:
        UsageError: if there is no run there.
    """
    if path is not None:
        folder = RunFolder(Path(path))
        if not is_run(folder):
            remedy = _known_runs()
            if folder.recipe.is_file():
                remedy = f"write run.json again: dddm run {folder.recipe} --folder {path}"
            raise UsageError(_why_not(folder), where=path, remedy=remedy)
        return folder
    runs = _runs()
    if not runs:
        raise UsageError(
            "there is no run yet",
            where=str(_PARENT.absolute()),
            remedy="make one with `dddm run digits`, or name a run folder",
        )
    return runs[0]


def is_run(folder: RunFolder) -> bool:
    """Whether a folder is a run's."""
    return folder.recipe.is_file() and folder.about.is_file()


def _runs() -> list[RunFolder]:
    """All runs under `./runs`, the newest first."""
    if not _PARENT.is_dir():
        return []
    found = [RunFolder(path) for path in _PARENT.iterdir() if is_run(RunFolder(path))]
    return sorted(found, key=lambda run: (run.about.stat().st_mtime_ns, run.path), reverse=True)


def _why_not(folder: RunFolder) -> str:
    if not folder.path.exists():
        return f"there is no run folder {folder.path}"
    if not folder.path.is_dir():
        return f"{folder.path} is a file, not a run folder"
    missing = [file.name for file in (folder.recipe, folder.about) if not file.is_file()]
    return f"{folder.path} is not a run folder: it has no {' and no '.join(missing)}"


def _known_runs() -> str:
    names = [str(run.path) for run in _runs()[:5]]
    return f"name one of {', '.join(names)}" if names else "make one with `dddm run digits`"


_FILE: Final = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder within the block; the lock goes with the process.

    Raises:
        EnvironmentProblem: if another run is using it.
    """
    file = folder / _FILE
    with raise_on_disk_full(file):
        opened = file.open("w", encoding="ascii")
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EnvironmentProblem(
                "another run is using this folder",
                where=str(folder),
                remedy="wait for it or stop it, or choose another folder with --folder",
            ) from error
        yield
