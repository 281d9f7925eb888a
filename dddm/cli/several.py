"""Commands that share their work between processes: `--nproc N`.  Imports no torch."""

import signal
from typing import Final

import click

from dddm.errors import StoppedEarly

_SIGNALS: Final = 128

nproc_option = click.option(
    "--nproc",
    type=click.IntRange(1),
    metavar="N",
    help="Share the work between N processes on this machine, one a GPU.",
)


def launch_again(ctx: click.Context, *, processes: int) -> int:
    """Start the processes, with the words that this command was started with; the exit code."""
    from dddm.cli.failures import show_error
    from dddm.train.launch import launch

    ended = launch(ctx.find_root().obj["words"], processes=processes)
    if ended.rank is not None and ended.exit_code != StoppedEarly.exit_code:
        own = ended.message
        if own is None:
            own = _killed(ended.exit_code)
        show_error(f"process {ended.rank} of {processes}: {own}")
    return ended.exit_code


def _killed(code: int) -> str:
    if code <= _SIGNALS:
        return f"it ended with exit code {code} and left no error"
    name = signal.Signals(code - _SIGNALS).name
    return (
        f"it was killed by {name}\n  try: look whether memory ran out, as `dmesg` tells; give the "
        "same command again: it goes on from where it was"
    )
