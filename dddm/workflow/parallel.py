"""`dddm run SWEEP --jobs N`: N runs of a sweep at a time, each in a process of its own.

Each is the command `dddm run SWEEP --entry NAME`, so that it trains, stops and resumes as it does
by hand, and the lock on its run folder keeps a second one out.  Processes, because runs share
nothing, and a run that fails, or is killed for its memory, must not take the others with it.

Cores are shared equally; a GPU works on one run at a time, if there are as many GPUs as jobs.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from attrs import define, frozen

from dddm.data.workers import usable_cores
from dddm.errors import (
    DataError,
    DddmError,
    EnvironmentProblem,
    PluginError,
    RecipeError,
    StoppedEarly,
    TrainingFailed,
    UsageError,
)
from dddm.recipe.sweep import EntryRun
from dddm.report.wording import duration
from dddm.training.launch import PARENT
from dddm.training.run_folder import RunFolder
from dddm.training.stopping import StopRequest

_POLL_SECONDS: Final = 0.1
_KINDS: Final = {
    kind.exit_code: kind
    for kind in (
        UsageError,
        RecipeError,
        PluginError,
        TrainingFailed,
        EnvironmentProblem,
        DataError,
    )
}
_GPUS: Final = "CUDA_VISIBLE_DEVICES"
_THREADS: Final = "OMP_NUM_THREADS"


@final
@frozen(kw_only=True)
class Jobs:
    """How runs are started.

    Attributes:
        count: N.
        command: the command of one run, by its name.
        gpus: as CUDA_VISIBLE_DEVICES names them; none to leave the choice to each run.
    """

    count: int
    command: Callable[[str], Sequence[str]]
    gpus: tuple[str, ...] = ()

    def variables(self, slot: int) -> dict[str, str]:
        """The environment of the run that is at work in a slot, 0…N − 1."""
        threads = str(max(usable_cores() // self.count, 1))
        gpu = {_GPUS: self.gpus[slot % len(self.gpus)]} if self.gpus else {}
        return {_THREADS: threads, **os.environ, PARENT: str(os.getpid()), **gpu}


@final
@define(kw_only=True, eq=False)
class _Job:
    """A run at work."""

    run: EntryRun
    slot: int
    log: Path
    log_begins: int
    began: float
    process: subprocess.Popen[bytes]


def run_in_parallel(
    runs: Sequence[EntryRun],
    *,
    folder: Path,
    jobs: Jobs,
    stop: StopRequest,
    notify: Callable[[str], None],
    failed: Callable[[str, DddmError], None],
) -> None:
    """Run all, N at a time; one that fails does not stop the others.

    A request to stop is passed on to all that are at work, and waits until they have saved.

    Args:
        folder: of the sweep; a run's output is appended to `output.log` in its own folder.
        failed: called with the run's name and its error as soon as a run fails.

    Raises:
        StoppedEarly: when asked to stop, or when a run was.
    """
    waiting, at_work = list(runs), list[_Job]()
    passed_on = False
    try:
        while at_work or (waiting and not stop.requested):
            free = set(range(jobs.count)) - {job.slot for job in at_work}
            while waiting and free and not stop.requested:
                job = _start(waiting.pop(0), slot=min(free), folder=folder, jobs=jobs)
                free.remove(job.slot)
                at_work.append(job)
                number = len(runs) - len(waiting)
                notify(f"entry {job.run.name}, {number} of {len(runs)}, started; see {job.log}")
            if stop.requested and not passed_on:
                passed_on = True
                notify(f"stopping: {len(at_work)} of the entries save what they have")
                for job in at_work:
                    job.process.send_signal(signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
            for job in [job for job in at_work if job.process.poll() is not None]:
                at_work.remove(job)
                _report(job, stop=stop, notify=notify, failed=failed)
    finally:
        for job in at_work:  # an error or a second Ctrl-C in this process
            job.process.kill()
            job.process.wait()
    stop.raise_if_requested(where=f"the sweep's folder {folder}")


def _start(run: EntryRun, *, slot: int, folder: Path, jobs: Jobs) -> _Job:
    log = RunFolder(folder / run.name).output
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            jobs.command(run.name),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=jobs.variables(slot),
            # So that Ctrl-C in a terminal reaches this process alone, which passes it on once.
            start_new_session=True,
        )
        begins = output.tell()
    return _Job(
        run=run,
        slot=slot,
        log=log,
        log_begins=begins,
        began=time.monotonic(),
        process=process,
    )


def _report(
    job: _Job,
    *,
    stop: StopRequest,
    notify: Callable[[str], None],
    failed: Callable[[str, DddmError], None],
) -> None:
    code, name = job.process.returncode, job.run.name
    after = f"after {duration(time.monotonic() - job.began)}"
    if code == 0:
        notify(f"entry {name} finished {after}")
        return
    # A process that has not installed its handler yet is ended by the signal that asks it to stop.
    if code == StoppedEarly.exit_code or (stop.requested and code == -signal.SIGTERM):
        stop.request(f"a request to the entry {name}")
        notify(f"entry {name} stopped {after}")
        return
    error = _error_of(job, code)
    failed(name, error)
    notify(f"entry {name} failed {after}: {error.what}")


def _error_of(job: _Job, code: int) -> DddmError:
    """The error of a run that failed, as its own process has shown it."""
    if code < 0:
        return EnvironmentProblem(
            f"its process was killed by {signal.Signals(-code).name}",
            where=str(job.log),
            remedy="check `dmesg` for lack of memory; the same command resumes",
        )
    said: dict[str, str] = {}
    with suppress(OSError), job.log.open("rb") as output:
        output.seek(job.log_begins)
        said = dict(_last_error(output.read().decode("utf-8", errors="replace")))
    kind = _KINDS.get(code, DddmError)
    what = said.get("what", f"it ended with exit code {code}")
    where = said.get("at", "").removeprefix(f"entry {job.run.name}").removeprefix(", ")
    return kind(what, where=where or str(job.log), remedy=said.get("try"))


_ERROR: Final = re.compile(r"^error: (.*?)(?=^  at: |^  try: |\Z)", re.MULTILINE | re.DOTALL)


def _last_error(output: str) -> Iterator[tuple[str, str]]:
    """What the last `error: …` in a command's output says, and its lines `at` and `try`."""
    found = list(_ERROR.finditer(output))
    if not found:
        return
    yield "what", found[-1][1].strip()
    for name in ("at", "try"):
        line = re.search(rf"^  {name}: (.*)$", output[found[-1].end() :], re.MULTILINE)
        if line is not None:
            yield name, line[1]


def visible_gpus(device: str, *, count: Callable[[], int]) -> tuple[str, ...]:
    """The GPUs among which runs are shared, as CUDA_VISIBLE_DEVICES names them.

    None where `device` is not a GPU, or names one, which all runs then use.

    Args:
        count: how many this process sees.
    """
    if device not in {"auto", "cuda"}:
        return ()
    named = os.environ.get(_GPUS)
    names = named.split(",") if named else list(map(str, range(count())))
    return tuple(names[: count()])
