"""`dddm` itself: the table of commands, and the options that stand before a command."""

from typing import Final

import click

from dddm.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "run": "Train, sample, evaluate and report a recipe.",
    "sample": "Draw samples from a trained run.",
    "evaluate": "Score the samples of a run.",
    "report": "Write the HTML report of a run.",
    "export": "Write the one-step generator as ONNX.",
    "check": "Say what is wrong with a recipe.",
    "show": "Show what a recipe resolves to.",
    "schema": "Print the JSON schema of recipes.",
    "plugins": "List the components that are installed.",
    "plugin": "Create a plugin, and test its components.",
    "data": "Pack and check the images of a recipe.",
    "weights": "List, verify and fetch files of weights.",
    "doctor": "Describe this installation, for a bug report.",
}
"""Each lies in `dddm.cli.<name>` under its own name."""


def _plugin_option(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not value.startswith("no:") or value == "no:":
            message = f"{value!r}: write -p no:NAME to switch a plugin off."
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
    help="Switch a plugin off, or all of a package; for instance -p no:dddm.observers.",
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
