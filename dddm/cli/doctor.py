"""`dddm doctor`: this installation, ready to paste into a bug report."""

from pathlib import Path
from typing import Any

import click

from dddm.cli.common import catalogue_of, json_option, show_json


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Describe this installation: versions, devices, threads, free space, plugins and variables.

    \b
    Examples:
      dddm doctor
      dddm doctor --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.train.installation import installation

    facts = installation(catalogue_of(ctx), folder=Path.cwd() / "runs")
    if as_json:
        show_json(facts)
        return
    plugins = facts.pop("plugins")
    for heading, value in facts.items():
        click.echo(f"{heading}: {value}" if isinstance(value, str) else f"{heading}:")
        if isinstance(value, dict):
            _show_table(value or {"none": "set"})
    click.echo("plugins:")
    for plugin in plugins:
        about = f"{plugin['package']} {plugin['version']}"
        click.echo(f"  {plugin['name']} ({about}): {plugin['status']}")
        if plugin["reason"] is not None:
            click.echo("    " + plugin["reason"].replace("\n", "\n    "))


def _show_table(table: dict[str, Any]) -> None:
    for name, value in table.items():
        shown = "; ".join(value) if isinstance(value, list) else value
        click.echo(f"  {name}: {shown}")
