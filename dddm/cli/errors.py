"""Shows errors: a user's mistake without a traceback, a bug in dddm or a plugin with one."""

import os
import time
import traceback
from contextlib import suppress
from typing import Final

import click

from dddm.errors import (
    DddmError,
    EnvironmentProblem,
    StoppedEarly,
    environment_problem,
    file_problem,
)
from dddm.registry.component import attribute_error
from dddm.training.launch import LAUNCHER, is_worker, rank_here, record_error

_BUG: Final = 1
"""The exit code of a bug in dddm."""
_PLUGIN_FRAMES: Final = -8
"""How much of a traceback is shown of a plugin's error: the calls within dddm do not help."""
_SECONDS_FOR_THE_FIRST: Final = 3.0


def show_failure(error: Exception) -> int:
    """Show `error` on stderr, or in a worker leave it to the launcher; returns the exit code."""
    known = error if isinstance(error, DddmError) else environment_problem(error)
    if isinstance(known, StoppedEarly):
        if rank_here() == 0:
            with suppress(OSError):  # the terminal may be closed, which is why the run stops
                click.echo(str(known), err=True)
        return known.exit_code
    trace = ""
    if known is None:
        known = attribute_error(error)
        if known is None and (known := file_problem(error)) is None:
            trace = "".join(traceback.format_exception(error))
        elif not isinstance(known, EnvironmentProblem):
            trace = "".join(traceback.format_exception(error, limit=_PLUGIN_FRAMES))
    message = "this is a bug in dddm" if known is None else str(known)
    if known is None:
        message += "\n  try: report it with the traceback and the output of `dddm doctor`"
    code = _BUG if known is None else known.exit_code
    if not is_worker():
        click.echo(trace, nl=False, err=True)
        show_error(message)
        return code
    from dddm.training.processes import caused_by_peer

    if trace and caused_by_peer(error):
        # Another process failed first: give the launcher time to notice that one, and its reason.
        time.sleep(_SECONDS_FOR_THE_FIRST)
        return _BUG
    message = f"{message}\n{trace}".rstrip()
    record_error(message, code=code)
    if LAUNCHER not in os.environ:
        show_error(f"process {rank_here()} of {os.environ.get('WORLD_SIZE')}: {message}")
    return code


def show_error(message: str) -> None:
    """Print an error on stderr."""
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
