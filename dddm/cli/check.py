"""`dddm check`: lists all errors of a recipe."""

import click

from dddm.cli.options import catalogue_of, json_option, overrides_option, recipe_argument, show_json
from dddm.errors import printable


@click.command()
@recipe_argument
@overrides_option
@json_option
@click.pass_context
def check(ctx: click.Context, recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Check RECIPE without training; lists all errors, with line and column.

    If it has a sweep, every entry is checked.

    \b
    Examples:
      dddm check digits
      dddm check my-recipe.toml --set train.batch_images=64
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.sweep import Sweep, read_recipe_or_sweep

    read = read_recipe_or_sweep(recipe, overrides=overrides, catalogue=catalogue_of(ctx))
    base, entries = (read.base, read.entries) if isinstance(read, Sweep) else (read, ())
    if as_json:
        facts = {"recipe": recipe, "name": base.name, "sha256": base.fingerprint}
        sums = {run.name: run.recipe.fingerprint for entry in entries for run in entry.runs}
        show_json({**facts, "entries": sums} if sums else facts)
    elif entries:
        for warning in read.warnings if isinstance(read, Sweep) else ():
            click.echo(printable(f"warning: {warning}"), err=True)
        names = ", ".join(entry.name for entry in entries)
        seeds = ", ".join(map(str, read.training_seeds)) if isinstance(read, Sweep) else ""
        each = f"; each with the training seeds {seeds}" if seeds else ""
        click.echo(f"{recipe}: no errors; a sweep of {len(entries)}: {names}{each}")
    else:
        click.echo(f"{recipe}: no errors")
