"""`dddm doctor`: a description of this installation for bug reports."""

from pathlib import Path

import click

from dddm.cli.options import catalogue_of, json_option, show_json


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Describe this installation, for a bug report.

    Prints versions, devices, threads, memory, free disk space, plugins and environment variables.

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
            for name, facts_of in (value or {"none": "set"}).items():
                shown = "; ".join(facts_of) if isinstance(facts_of, list) else facts_of
                click.echo(f"  {name}: {shown}")
    click.echo("plugins:")
    for plugin in plugins:
        about = f"{plugin['package']} {plugin['version']}"
        click.echo(f"  {plugin['name']} ({about}): {plugin['status']}")
        if plugin["reason"] is not None:
            click.echo("    " + plugin["reason"].replace("\n", "\n    "))
