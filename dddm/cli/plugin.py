"""`dddm plugin`: for authors of plugins."""

import importlib
from typing import Final, final

import click

COMMANDS: Final = {
    "new": ("dddm.cli.plugin_new", "Write a package with a component that works."),
}
"""Each by its module and one line about it."""


@final
class _Lazy(click.Group):
    """Imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In their order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command


@click.group(cls=_Lazy)
def plugin() -> None:
    """Write and test a plugin of your own."""
