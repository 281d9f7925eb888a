"""The `dddm` command: the table of subcommands, and the options that stand before one.

A subcommand is imported when it is called: `dddm --help` imports none of them.
"""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, Final, final

import click
from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "init": "Look at images and write a recipe for them.",
    "run": "Train, sample, evaluate and report a recipe.",
    "sample": "Generate samples from a trained run.",
    "evaluate": "Score the samples of a run, or any images.",
    "report": "Write the HTML report of a run.",
    "export": "Export the one-step generator, or the run to share it.",
    "push": "Share a run on the Hugging Face Hub.",
    "verify": "Draw images of a run again, and score again.",
    "check": "List all errors of a recipe.",
    "show": "Show a recipe with every default filled in.",
    "schema": "Print the JSON schema of recipes.",
    "plugins": "List the installed components.",
    "plugin": "Create a plugin and test its components.",
    "data": "Pack and check the images of a recipe.",
    "weights": "List, verify and download files of weights.",
    "doctor": "Describe this installation, for a bug report.",
}
"""Each is the object of that name in the module `dddm.cli.<name>`."""


@final
class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    Args:
        table: the summary of each command by name, in the order of the listing.
        place: dotted name of a command's module, with {} for the command's name.
    """

    def __init__(self, *args: Any, table: Mapping[str, str], place: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self._table = table
        self._place = place

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self._table:
            return None
        module = importlib.import_module(self._place.format(cmd_name))
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self._table and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, self._table, n=2, cutoff=0.5)
            hint = f"  Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._table.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [
            CompletionItem(name, help=summary)
            for name, summary in self._table.items()
            if name.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)


def _plugin_option(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not value.startswith("no:") or value == "no:":
            message = f"{value!r}: write -p no:NAME to disable a plugin."
            raise click.BadParameter(message, ctx=ctx, param=param)
    return tuple(value.removeprefix("no:") for value in values)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    place="dddm.cli.{}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-p",
    "disabled",
    multiple=True,
    metavar="no:NAME",
    callback=_plugin_option,
    help="Disable a plugin or all plugins of a package, such as -p no:dddm.observers.",
)
@click.version_option(package_name="dddm")
@click.pass_context
def dddm(ctx: click.Context, disabled: tuple[str, ...]) -> None:
    """Train, sample, evaluate and compare few-step image generators.

    \b
    Examples:
      dddm run digits                 train on real digits, in minutes on a CPU
      dddm init my-images             write a recipe for a folder of images
      dddm sample --steps 100         generate samples from the newest run
      dddm sample --from digits       generate samples from a run that comes with dddm
      dddm check my-recipe.toml       list all errors, with line and column
      dddm plugins show adm           show a component's options

    \b
    Exit codes:
      0 success   1 bug in dddm   2 usage   3 recipe   4 plugin   5 loss is not finite
      6 environment   7 data   75 stopped and saved: give the same command again to resume
      130 interrupted, with nothing to resume

    \b
    Shell completion, here for bash:
      eval "$(_DDDM_COMPLETE=bash_source dddm)"
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    ctx.ensure_object(dict)["disabled"] = disabled
