"""Finds the run that a command means."""

from pathlib import Path

from dddm.errors import UsageError
from dddm.train.run_folder import RunFolder

_PARENT = Path("runs")


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
            raise UsageError(_why_not(folder), where=path, remedy=_known_runs())
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
    return f"{folder.path} is no run folder: it has no {' and no '.join(missing)}"


def _known_runs() -> str:
    names = [str(run.path) for run in _runs()[:5]]
    return f"name one of {', '.join(names)}" if names else "make one with `dddm run digits`"
