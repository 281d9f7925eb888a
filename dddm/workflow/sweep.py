"""`dddm run` of a sweep: every entry is a run of its own, one after the other; then a table.

    runs/figure2a/l1/          the run folder of the entry `l1`
    runs/arena/drifting/seed-0/   that of a training seed of the entry `drifting`
    runs/figure2a/sweep.json   what each entry changes and its scores
    runs/figure2a/sweep.md     the same as a table in Markdown
    runs/figure2a/sweep.html   the same as a page with charts

The three files are rewritten from the entries' folders each time, so entries may be run in any
order, on several machines, and again.
"""

import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import torch
from attrs import frozen

from dddm.errors import DddmError, StoppedEarly, UsageError, environment_problem
from dddm.recipe.model import Recipe
from dddm.recipe.sweep import EntryRun, Sweep
from dddm.report.sweep_page import sweep_page, to_markdown
from dddm.report.sweep_results import SweepTable, gather_sweep
from dddm.support.files import atomic_write_text, raise_on_disk_full
from dddm.training.needed_weights import verify_weights
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.training.stopping import StopRequest
from dddm.workflow.dry_run import refuse_small_budget
from dddm.workflow.parallel import Jobs, run_in_parallel

_RESULTS: Final = "sweep.json"


@final
@frozen(kw_only=True)
class SweepOutcome:
    """What a sweep has come to.

    Attributes:
        page: path of `sweep.html`.
        failures: of entries that were run just now, in their order.
    """

    table: SweepTable
    page: Path
    failures: tuple[DddmError, ...]


def run_sweep(
    sweep: Sweep,
    *,
    chosen: Sequence[EntryRun],
    folder: Path,
    run_entry: Callable[[Recipe, Path], object],
    jobs: Jobs | None = None,
    stop: StopRequest,
    notify: Callable[[str], None],
) -> SweepOutcome:
    """Run what the chosen runs ask for and is not done yet, then tabulate all entries.

    An entry that fails does not stop the others.

    Args:
        folder: of the sweep.
        run_entry: runs one recipe in one run folder.
        jobs: to run several at a time, each in a process of its own, and only those that are not
            finished; None to run one after the other here.
        notify: is given a sentence when an entry is started or has failed.

    Raises:
        DddmError: if an entry cannot be started; then none is.
        StoppedEarly: when asked to stop.
    """
    _check_folder(folder)
    _check_before(sweep, chosen, folder=folder)
    failures: dict[str, DddmError] = {}
    outcome = write_outcome(sweep, folder=folder, failures=failures)
    for one in chosen:
        prepare_folder(one.recipe, folder / one.name)
    if jobs is not None:
        finished = {run.run.name for row in outcome.table.rows for run in row.runs if run.finished}
        try:
            run_in_parallel(
                [one for one in chosen if one.name not in finished],
                folder=folder,
                jobs=jobs,
                stop=stop,
                notify=notify,
                failed=lambda name, error: failures.update({name: _with_entry(name, error)}),
            )
        finally:
            outcome = write_outcome(sweep, folder=folder, failures=failures)
        return outcome
    for k, one in enumerate(chosen, start=1):
        stop.raise_if_requested(where=f"before the entry {one.name}")
        notify(f"entry {one.name}, {k} of {len(chosen)}")
        try:
            run_entry(one.recipe, folder / one.name)
        except StoppedEarly:
            raise
        except (DddmError, MemoryError, torch.OutOfMemoryError) as error:
            # A new error, whose traceback does not keep the entry's tensors alive.
            failures[one.name] = _with_entry(one.name, error)
            notify(f"entry {one.name} failed: {failures[one.name].what}")
        finally:
            outcome = write_outcome(sweep, folder=folder, failures=failures)
    return outcome


def _check_before(sweep: Sweep, chosen: Sequence[EntryRun], *, folder: Path) -> None:
    """Refuse what would fail later: before any entry is trained."""
    for one in chosen:
        _refuse_other_kind(folder, one)
        try:
            verify_weights(one.recipe.components)
        except DddmError as error:
            raise _with_entry(one.name, error) from error
    for entry in sweep.entries_of(chosen):
        try:
            refuse_small_budget(entry.recipe)
        except DddmError as error:
            raise _with_entry(entry.name, error) from error


def _with_entry(name: str, error: BaseException) -> DddmError:
    """The same error, which names its entry."""
    known = error if isinstance(error, DddmError) else environment_problem(error)
    assert known is not None
    where = ", ".join(filter(None, (f"entry {name}", known.where)))
    return type(known)(known.what, where=where, remedy=known.remedy)


def write_outcome(sweep: Sweep, *, folder: Path, failures: dict[str, DddmError]) -> SweepOutcome:
    """Write the sweep's three files from the entries' folders as they are.

    Raises:
        EnvironmentProblem: if they cannot be written.
    """
    with raise_on_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder):
        return _write_outcome(sweep, folder=folder, failures=failures)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait for other processes that write the sweep's files; what is written last is the newest."""
    with (folder / ".lock").open("w", encoding="ascii") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _write_outcome(sweep: Sweep, *, folder: Path, failures: dict[str, DddmError]) -> SweepOutcome:
    sentences = {name: f"This run failed: {failure.what}." for name, failure in failures.items()}
    table = gather_sweep(sweep, folder=folder, failures=sentences)
    facts = {
        "format": 1,
        "name": sweep.base.name,
        "recipe_sha256": sweep.base.fingerprint,
        **({"training_seeds": sweep.training_seeds} if sweep.training_seeds else {}),
        "entries": [result.to_json() for result in table.rows],
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=str)
    atomic_write_text(folder / _RESULTS, text + "\n")
    atomic_write_text(folder / "sweep.md", to_markdown(table))
    page = folder / "sweep.html"
    atomic_write_text(page, sweep_page(table))
    return SweepOutcome(table=table, page=page, failures=tuple(failures.values()))


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but this sweep."""
    remedy = "choose another folder with --folder"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder", remedy=remedy)
    if RunFolder(folder).recipe.is_file():
        raise UsageError(f"{folder} is the folder of a single run, not of a sweep", remedy=remedy)
    # A process that was killed may leave hidden files before there are results.
    full = folder.exists() and any(not file.name.startswith(".") for file in folder.iterdir())
    if full and not (folder / _RESULTS).is_file():
        raise UsageError(
            f"{folder} is neither empty nor a sweep's folder: it has no {_RESULTS}", remedy=remedy
        )


def _refuse_other_kind(folder: Path, one: EntryRun) -> None:
    """Refuse to put the folder of a training seed into a run folder of the entry."""
    entry = folder / one.name.partition("/")[0]
    if one.seed is not None and RunFolder(entry).recipe.is_file():
        raise UsageError(
            f"{entry} is the folder of a single run, and the sweep now has training_seeds",
            remedy="choose another folder with --folder",
        )
