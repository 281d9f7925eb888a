"""The command `dddm`: finds commands by name and imports only the one that is used."""

import difflib
import importlib
import os
import sys
import traceback
from typing import Final, NoReturn, final

import click

from dddm.errors import DddmError, StoppedEarly

COMMANDS: Final = {
    "run": "Train, sample, evaluate and report a recipe.",
    "sample": "Draw samples from a trained run.",
    "evaluate": "Score the samples of a run.",
    "report": "Write the page one looks at.",
    "check": "Say what is wrong with a recipe.",
    "show": "Show what a recipe resolves to.",
    "schema": "Print the JSON schema of recipes.",
    "plugins": "List the components that are installed.",
    "doctor": "Describe this machine, for a bug report.",
}
"""Each lies in `dddm.cli.<name>` under its own name."""

_RESUMABLE: Final = ("run", "sample")
_INTERRUPTED: Final = 130


@final
class LazyGroup(click.Group):
    """Imports a command when it is called, and lists all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            importlib.import_module(f"dddm.cli.{cmd_name}"), cmd_name
        )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the one that was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=2, cutoff=0.5)
            hint = f"  Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _plugin_option(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not value.startswith("no:") or value == "no:":
            message = f"{value!r}: write -p no:NAME to switch a plugin off."
            raise click.BadParameter(message, ctx=ctx, param=param)
    return tuple(value.removeprefix("no:") for value in values)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-p",
    "disabled",
    multiple=True,
    metavar="no:NAME",
    callback=_plugin_option,
    help="Switch a plugin off, for instance -p no:dddm.observers.",
)
@click.version_option(package_name="dddm")
@click.pass_context
def dddm(ctx: click.Context, disabled: tuple[str, ...]) -> None:
    """Directly denoising diffusion models: train, sample, judge, extend.

    \b
    Examples:
      dddm run digits                 train on real digits, in minutes on a CPU
      dddm sample --steps 100         draw from the newest run
      dddm check my-recipe.toml       everything that is wrong, with line and column

    \b
    Exit codes:
      0 ok   1 a defect of dddm   2 usage   3 recipe   4 plugin   5 not a number in training
      6 this machine   7 data   75 stopped and saved: the same command goes on
    """
    ctx.ensure_object(dict)["disabled"] = disabled


def main() -> NoReturn:
    """Run the command line and exit with the code of its outcome."""
    try:
        dddm(prog_name="dddm", standalone_mode=False)
    except DddmError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _interrupted()
    except BrokenPipeError:
        # Whoever read our output has read enough; without this Python complains when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception:  # noqa: BLE001 - the one place where a defect of ours ends
        traceback.print_exc()
        _fail(
            "this is a defect of dddm, not of what you did\n"
            "  try: report it with the lines above and the output of `dddm doctor`",
            1,
        )
    sys.exit(0)


def _interrupted() -> NoReturn:
    if any(name in sys.argv[1:] for name in _RESUMABLE):
        _fail("stopped\n  try: give the same command again: it goes on", StoppedEarly.exit_code)
    _fail("stopped", _INTERRUPTED)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
    sys.exit(code)


