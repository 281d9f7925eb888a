"""`dddm` itself: the table of commands, and the options that stand before a command."""

import difflib
import importlib
from typing import Final, final

import click
from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "run": "Train, sample, evaluate and report a recipe.",
    "sample": "Draw samples from a trained run.",
    "evaluate": "Score the samples of a run.",
    "report": "Write the page one looks at.",
    "export": "Write the one-step generator as ONNX.",
    "check": "Say what is wrong with a recipe.",
    "show": "Show what a recipe resolves to.",
    "schema": "Print the JSON schema of recipes.",
    "plugins": "List the components that are installed.",
    "plugin": "Write and test a plugin of your own.",
    "data": "Pack and check the images of a recipe.",
    "weights": "List, verify and fetch files of weights.",
    "doctor": "Describe this installation, for a bug report.",
}
"""Each lies in `dddm.cli.<name>` under its own name."""


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
        command: click.Command = getattr(importlib.import_module(f"dddm.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the one that was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, COMMANDS, n=2, cutoff=0.5)
            hint = f"  Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands from the table, and options."""
        return [
            CompletionItem(name, help=summary)
            for name, summary in COMMANDS.items()
            if name.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)


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
      dddm plugins show adm           a component's options

    \b
    Exit codes:
      0 ok   1 a defect of dddm   2 usage   3 recipe   4 plugin   5 not a number in training
      6 this machine   7 data   75 stopped and saved: the same command goes on

    \b
    Completion, for bash; zsh and fish likewise:
      eval "$(_DDDM_COMPLETE=bash_source dddm)"
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    ctx.ensure_object(dict)["disabled"] = disabled
