"""`dddm plugin`: what a plugin author needs."""

from typing import Final

import click

from dddm.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "new": "Write a package with a component that works, to be made your own.",
    "test": "Test that components keep the promises of their interfaces.",
}
"""Each lies in `dddm.cli.plugin_<name>` under its own name."""


@click.group(cls=LazyGroup, table=COMMANDS, place="dddm.cli.plugin_{}")
def plugin() -> None:
    """Make a plugin, and test that it keeps its promises.

    \b
    Examples:
      dddm plugin new dddm-charbonnier --kind metric
      dddm plugin test charbonnier
      dddm plugins                                     what is installed
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
