"""`dddm check`: lists all errors of a recipe."""

import click

from dddm.cli.options import catalogue_of, json_option, overrides_option, recipe_argument, show_json
from dddm.errors import printable


@click.command()
@recipe_argument
@overrides_option
@click.option(
    "--no-data",
    is_flag=True,
    help="Check the recipe alone: look neither at its images nor for files of weights.",
)
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    no_data: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Check RECIPE and its images without training; lists all errors, with line and column.

    Images are listed and some of their headers read, not decoded (`dddm data check` decodes them);
    files of weights must be there.  If it has a sweep, every entry is checked.

    \b
    Exit codes:
      3  the recipe has an error
      4  a plugin has one, or is missing
      7  images or weights are missing or wrong, and nothing else

    \b
    Examples:
      dddm check digits
      dddm check my-recipe.toml --set train.batch_images=64
      dddm check cifar10 --no-data
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.surveys import Surveys
    from dddm.recipe.sweep import Sweep, read_recipe_or_sweep

    surveys = Surveys(every=not no_data)
    catalogue = catalogue_of(ctx)
    read = read_recipe_or_sweep(recipe, overrides=overrides, catalogue=catalogue, surveys=surveys)
    base, entries = (read.base, read.entries) if isinstance(read, Sweep) else (read, ())
    if as_json:
        facts = {"recipe": recipe, "name": base.name, "sha256": base.fingerprint}
        sums = {run.name: run.recipe.fingerprint for entry in entries for run in entry.runs}
        looked = {"looked_at": surveys.looked_at} if surveys.looked_at else {}
        show_json({**facts, **looked, **({"entries": sums} if sums else {})})
    elif entries:
        for warning in read.warnings if isinstance(read, Sweep) else ():
            click.echo(printable(f"warning: {warning}"), err=True)
        names = ", ".join(entry.name for entry in entries)
        seeds = ", ".join(map(str, read.training_seeds)) if isinstance(read, Sweep) else ""
        each = f"; each with the training seeds {seeds}" if seeds else ""
        click.echo(f"{recipe}: no errors; a sweep of {len(entries)}: {names}{each}")
    else:
        click.echo(f"{recipe}: no errors")
    if not as_json and surveys.looked_at:
        click.echo(printable(f"looked at the data: {'; '.join(surveys.looked_at)}"), err=True)
