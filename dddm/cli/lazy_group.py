"""A group of commands that are imported when they are called, not when they are listed."""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, final

import click
from click.shell_completion import CompletionItem


@final
class LazyGroup(click.Group):
    """Commands from a table.

    Args:
        table: summary of each command by its name, in the order of the listing.
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
        """Suggest a command for a misspelt one."""
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
