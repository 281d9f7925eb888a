"""`dddm plugin`: commands for authors of plugins."""

from typing import Final

import click

from dddm.cli.commands import LazyGroup

COMMANDS: Final = {
    "new": "Write a plugin package with a working component.",
    "test": "Test components against their interfaces.",
}
"""Commands, each in `dddm.cli.plugin_<name>`."""


@click.group(cls=LazyGroup, table=COMMANDS, place="dddm.cli.plugin_{}")
def plugin() -> None:
    """Create a plugin, and test its components.

    \b
    Examples:
      dddm plugin new dddm-charbonnier --kind metric
      dddm plugin test charbonnier
      dddm plugins                                     list what is installed
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
