"""How an error is shown: a user's as what, where and remedy; ours with its traceback."""

import errno
import sys
import traceback
from typing import Final

import click

from dddm.errors import DddmError, EnvironmentProblem, StoppedEarly

DEFECT: Final = 1
"""The exit code for anything that a user cannot mend."""


def show_failure(error: Exception) -> int:
    """Show `error` on stderr; returns the exit code."""
    known = error if isinstance(error, DddmError) else _problem_of_the_machine(error)
    if isinstance(known, StoppedEarly):
        click.echo(str(known), err=True)
        return known.exit_code
    if known is not None:
        _show(str(known))
        return known.exit_code
    traceback.print_exception(error)
    _show(
        "this is a defect of dddm, not of what you did\n"
        "  try: report it in the project's issue tracker, with the lines above and the output of "
        "`dddm doctor`"
    )
    return DEFECT


def _show(message: str) -> None:
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)


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
