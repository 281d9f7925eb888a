"""The entry point of the command line; turns every way a command can end into an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

_COMPLETE: Final = "_DDDM_COMPLETE"
_PARENT: Final = "DDDM_PARENT"
"""`dddm.training.launch.PARENT`, which is not imported for its name alone."""
_RESUMABLE: Final = ("run", "sample")
_STOPPED: Final = 75
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line.

    Args:
        arguments: the words after `dddm`; None for those in `sys.argv`.

    Raises:
        SystemExit: always, with the exit code.
    """
    _open_closed_streams()
    try:
        code = _run(arguments)
    except KeyboardInterrupt:
        code = _interrupted(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:  # as after `| head`
        code = 0
    _give_up_closed_streams()
    if "RANK" in os.environ:
        from dddm.training.launch import record_exit_code

        record_exit_code(code)
    sys.exit(code)


def _open_closed_streams() -> None:
    """After `>&-` the first file that is opened would be standard output, and be printed into."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode))


def _give_up_closed_streams() -> None:
    """Python would end with 120, not our exit code, if it could not flush them at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # a closed pipe or terminal
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: Sequence[str] | None) -> int:
    if "RANK" in os.environ or _PARENT in os.environ:
        from dddm.training.launch import exit_with_launcher

        exit_with_launcher()
    # Imported here, so that Ctrl-C is answered while modules are still being read.
    import click

    from dddm.cli.commands import dddm

    if hasattr(sys.stdout, "reconfigure"):  # a character that the terminal lacks, such as ×
        sys.stdout.reconfigure(errors="backslashreplace")
    if os.environ.get(_COMPLETE):
        dddm.main(args=[], prog_name="dddm", complete_var=_COMPLETE)
    try:
        # Not `dddm.main`, which turns a BrokenPipeError into exit code 1.
        words = sys.argv[1:] if arguments is None else list(arguments)
        with dddm.make_context("dddm", words) as ctx:
            ctx.ensure_object(dict)["words"] = words
            dddm.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - bugs end here too
        from dddm.cli.errors import show_failure

        return show_failure(error)
    return 0


def _interrupted(arguments: Sequence[str]) -> int:
    """Handle Ctrl-C before a run listens for it, or in a command without a run."""
    command = next((word for word in arguments if not word.startswith(("-", "no:"))), "")
    if command in _RESUMABLE:
        print("stopped\n  try: give the same command again", file=sys.stderr)  # noqa: T201 - click may be missing yet
        return _STOPPED
    print("stopped", file=sys.stderr)  # noqa: T201 - as above
    return _INTERRUPTED
