"""`dddm show`: what a recipe resolves to."""

import click

from dddm.cli.common import catalogue_of, json_option, overrides_option, recipe_argument, show_json


@click.command()
@recipe_argument
@overrides_option
@click.option("--origin", is_flag=True, help="Show each value with where it came from.")
@json_option
@click.pass_context
def show(
    ctx: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    origin: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Show RECIPE with every default filled in, as a recipe that reads back to the same.

    With --origin, one line for each value, written as --set takes it, and beside it `default`, a
    file with its line, or --set.

    \b
    Examples:
      dddm show digits
      dddm show my.toml --origin --set train.epochs=2
      dddm show digits > mine.toml
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.read import read_recipe
    from dddm.recipe.write import to_lines, to_toml

    read = read_recipe(recipe, overrides=overrides, catalogue=catalogue_of(ctx))
    if as_json:
        show_json({"fingerprint": read.fingerprint, "recipe": read.tables, "origins": read.origins})
    elif origin:
        for line in to_lines(read):
            click.echo(line)
    else:
        click.echo(to_toml(read), nl=False)
