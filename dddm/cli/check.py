"""`dddm check`: everything that is wrong with a recipe."""

import click

from dddm.cli.common import catalogue_of, json_option, overrides_option, recipe_argument, show_json


@click.command()
@recipe_argument
@overrides_option
@json_option
@click.pass_context
def check(ctx: click.Context, recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Check RECIPE without training: all errors at once, with line and column.

    \b
    Examples:
      dddm check digits
      dddm check my-recipe.toml --set train.batch_images=64
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.read import read_recipe

    read = read_recipe(recipe, overrides=overrides, catalogue=catalogue_of(ctx))
    if as_json:
        show_json({"recipe": recipe, "name": read.name, "sha256": read.fingerprint})
    else:
        click.echo(f"{recipe}: no errors")
