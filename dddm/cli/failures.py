"""Shows errors: those of users without a traceback, defects of dddm and plugins with one."""

import errno
import os
import sys
import time
import traceback
from typing import Final

import click

from dddm.errors import DddmError, EnvironmentProblem, StoppedEarly
from dddm.registry.component import attribute_error
from dddm.train.launch import is_worker

DEFECT: Final = 1
"""The exit code of a defect of dddm."""
_DEFECT_OF_OURS: Final = (
    "this is a defect of dddm\n"
    "  try: report it with the traceback above and the output of `dddm doctor`"
)
_PLUGIN_FRAMES: Final = -8
"""How much of a traceback is shown of a plugin's error: the calls within dddm do not help."""
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
    of_plugin = attribute_error(error)
    if of_plugin is not None:
        traceback.print_exception(error, limit=_PLUGIN_FRAMES)
        show_error(str(of_plugin))
        return of_plugin.exit_code
    traceback.print_exception(error)
    show_error(_DEFECT_OF_OURS)
    return DEFECT


def show_error(message: str) -> None:
    """Print an error on stderr."""
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)


def _show_in_worker(error: Exception, known: DddmError | None) -> int:
    """In one of several processes: leave the error to the launcher, which shows it."""
    from dddm.train.launch import LAUNCHER, rank_here, record_error
    from dddm.train.processes import caused_by_peer

    if isinstance(known, StoppedEarly):
        if rank_here() == 0:
            click.echo(str(known), err=True)
        return known.exit_code
    if known is None and caused_by_peer(error):
        # Another process failed first: give the launcher time to notice that one, and its reason.
        time.sleep(_SECONDS_FOR_THE_FIRST)
        return DEFECT
    message, code = str(known), DEFECT if known is None else known.exit_code
    if known is None:
        of_plugin = attribute_error(error)
        if of_plugin is not None:
            code = of_plugin.exit_code
        limit = None if of_plugin is None else _PLUGIN_FRAMES
        lines = "".join(traceback.format_exception(error, limit=limit))
        message = f"{of_plugin or _DEFECT_OF_OURS}\n{lines}".rstrip()
    record_error(message, code=code)
    if LAUNCHER not in os.environ:
        show_error(f"process {rank_here()} of {os.environ.get('WORLD_SIZE')}: {message}")
    return code


def _problem_of_the_machine(error: Exception) -> DddmError | None:
    """A full disk or no memory left; None for any other error."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EnvironmentProblem(
            "no space left on the device",
            where=str(error.filename or "standard output"),
            remedy="free some space; files that were already written are complete",
        )
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.OutOfMemoryError)
    ):
        return EnvironmentProblem(
            f"out of memory: {error}".rstrip(": "),
            remedy="use a smaller batch or network, or a device with more memory",
        )
    return None
