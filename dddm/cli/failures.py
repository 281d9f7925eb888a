"""How an error is shown: a user's as what, where and remedy; ours with its traceback."""

import errno
import os
import sys
import time
import traceback
from typing import Final

import click

from dddm.errors import DddmError, EnvironmentProblem, StoppedEarly
from dddm.registry.factory import blame
from dddm.train.launch import is_worker

DEFECT: Final = 1
"""The exit code for anything that a user cannot mend."""
_DEFECT_OF_OURS: Final = (
    "this is a defect of dddm, not of what you did\n"
    "  try: report it in the project's issue tracker, with the lines above and the output of "
    "`dddm doctor`"
)
_SECONDS_FOR_THE_FIRST: Final = 3.0


def show_failure(error: Exception) -> int:
    """Show `error` on stderr; returns the exit code."""
    known = error if isinstance(error, DddmError) else _problem_of_the_machine(error)
    if is_worker():
        return _show_in_worker(error, known)
    if isinstance(known, StoppedEarly):
        click.echo(str(known), err=True)
        return known.exit_code
    if known is not None:
        show_error(str(known))
        return known.exit_code
    blamed = blame(error)
    if blamed is not None:
        click.echo(blamed.lines, nl=False, err=True)
        show_error(str(blamed.error))
        return blamed.error.exit_code
    traceback.print_exception(error)
    show_error(_DEFECT_OF_OURS)
    return DEFECT


def show_error(message: str) -> None:
    """Print an error on stderr."""
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)


def _show_in_worker(error: Exception, known: DddmError | None) -> int:
    """One of several processes: who started it is left its error, and shows it if it can."""
    from dddm.train.launch import LAUNCHER, leave_error, rank_here
    from dddm.train.processes import is_consequence

    if isinstance(known, StoppedEarly):
        if rank_here() == 0:
            click.echo(str(known), err=True)
        return known.exit_code
    if known is None and is_consequence(error):
        # Another process has failed, and says why; it is to be the first that is noticed.
        time.sleep(_SECONDS_FOR_THE_FIRST)
        return DEFECT
    blamed = blame(error) if known is None else None
    if blamed is not None:
        known = blamed.error
    message = str(known)
    if blamed is not None:
        message = f"{message}\n{blamed.lines}".rstrip()
    elif known is None:
        lines = "".join(traceback.format_exception(error))
        message = f"{_DEFECT_OF_OURS}\n{lines}".rstrip()
    code = DEFECT if known is None else known.exit_code
    leave_error(message, code=code)
    if LAUNCHER not in os.environ:
        show_error(f"process {rank_here()} of {os.environ.get('WORLD_SIZE')}: {message}")
    return code


def _problem_of_the_machine(error: Exception) -> DddmError | None:
    """What the machine lacks, where that is all that `error` says; None for everything else."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EnvironmentProblem(
            "no space left on the device",
            where=str(error.filename or "standard output"),
            remedy="free some space; files written before are whole",
        )
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.OutOfMemoryError)
    ):
        return EnvironmentProblem(
            f"memory ran out: {error}".rstrip(": "),
            remedy="use a smaller batch or network, or a device with more memory",
        )
    return None
