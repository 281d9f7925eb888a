"""`dddm run` of a sweep: every entry as a run of its own, one after the other, then a table.

    runs/figure2a/l1/          the run folder of the entry `l1`
    runs/figure2a/sweep.json   what each entry changes and reaches
    runs/figure2a/sweep.md     the same as a table in Markdown
    runs/figure2a/sweep.html   the page one looks at

The three files are written anew from the entries' folders, so entries may be run in any order, on
several machines, and again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, final

import torch
from attrs import frozen

from dddm.errors import DddmError, EnvironmentProblem, StoppedEarly, UsageError
from dddm.recipe.sweep import Entry, Sweep
from dddm.registry.catalogue import Catalogue
from dddm.report.sweep_page import sweep_page, to_markdown
from dddm.report.sweep_results import SweepTable, gather_sweep
from dddm.support.files import atomic_write_text
from dddm.train.events import subscribers_for
from dddm.train.needed_weights import refuse_missing_weights
from dddm.train.prepare import prepare_folder
from dddm.train.run_folder import RunFolder
from dddm.train.stopping import StopRequest
from dddm.workflow.run import run

_RESULTS: Final = "sweep.json"


@final
@frozen(kw_only=True)
class SweepOutcome:
    """What came of a sweep.

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
    chosen: Sequence[Entry],
    folder: Path,
    device: torch.device,
    catalogue: Catalogue,
    stop: StopRequest,
    say: Callable[[str], None],
) -> SweepOutcome:
    """Do all that the chosen entries say and is not done yet, and tabulate all entries.

    An entry that fails does not keep the others from running.

    Args:
        folder: of the sweep.
        say: told, in a sentence, which entry is run and which failed.

    Raises:
        DddmError: if an entry cannot be begun: then none is; StoppedEarly when asked to stop.
    """
    _refuse_other_use(folder)
    for entry in chosen:
        try:
            refuse_missing_weights(entry.recipe.uses)
        except DddmError as error:
            raise _of_entry(entry, error) from error
    failures: dict[str, DddmError] = {}
    outcome = write_outcome(sweep, folder=folder, failures=failures)
    places = [prepare_folder(entry.recipe, folder / entry.name) for entry in chosen]
    for k, (entry, place) in enumerate(zip(chosen, places, strict=True), start=1):
        stop.raise_if_requested(where=f"before the entry {entry.name}")
        say(f"entry {entry.name}, {k} of {len(chosen)}")
        try:
            failure = _run_entry(entry, place, device=device, catalogue=catalogue, stop=stop)
            if failure is not None:
                say(f"entry {entry.name} failed: {failure.what}")
                failures[entry.name] = failure
        finally:
            outcome = write_outcome(sweep, folder=folder, failures=failures)
    return outcome


def _run_entry(
    entry: Entry,
    place: RunFolder,
    *,
    device: torch.device,
    catalogue: Catalogue,
    stop: StopRequest,
) -> DddmError | None:
    """Run one entry; what kept it from its end, without the frames that hold its tensors."""
    try:
        observers = subscribers_for(entry.recipe, catalogue=catalogue, folder=place)
        run(entry.recipe, folder=place, device=device, observers=observers, stop=stop)
    except StoppedEarly:
        raise
    except DddmError as error:
        return _of_entry(entry, error)
    except (MemoryError, torch.OutOfMemoryError) as error:
        problem = EnvironmentProblem(
            f"memory ran out: {error}".rstrip(": "),
            remedy="use a smaller batch or network, or a device with more memory",
        )
        return _of_entry(entry, problem)
    return None


def _of_entry(entry: Entry, error: DddmError) -> DddmError:
    """The same error, which says of which entry it is."""
    where = ", ".join(filter(None, (f"entry {entry.name}", error.where)))
    return type(error)(error.what, where=where, remedy=error.remedy)


def write_outcome(sweep: Sweep, *, folder: Path, failures: dict[str, DddmError]) -> SweepOutcome:
    """Write the sweep's three files from the entries' folders as they are.

    Raises:
        EnvironmentProblem: if they cannot be written.
    """
    words = {name: f"This run failed: {failure.what}." for name, failure in failures.items()}
    table = gather_sweep(sweep, folder=folder, failures=words)
    facts = {
        "format": 1,
        "name": sweep.base.name,
        "recipe_sha256": sweep.base.fingerprint,
        "entries": [result.to_json() for result in table.rows],
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=str)
    atomic_write_text(folder / _RESULTS, text + "\n")
    atomic_write_text(folder / "sweep.md", to_markdown(table))
    page = folder / "sweep.html"
    atomic_write_text(page, sweep_page(table))
    return SweepOutcome(table=table, page=page, failures=tuple(failures.values()))


def _refuse_other_use(folder: Path) -> None:
    """Refuse a place that holds something else than this sweep or nothing."""
    remedy = "choose another place with --folder"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder", remedy=remedy)
    if RunFolder(folder).recipe.is_file():
        raise UsageError(f"{folder} is the folder of a single run, not of a sweep", remedy=remedy)
    if folder.exists() and any(folder.iterdir()) and not (folder / _RESULTS).is_file():
        raise UsageError(
            f"{folder} is not empty and no sweep's folder: it has no {_RESULTS}", remedy=remedy
        )
