"""`dddm schema`: the JSON schema of recipes for what is installed."""

import click

from dddm.cli.options import catalogue_of, show_json


@click.command()
@click.pass_context
def schema(ctx: click.Context) -> None:
    """Print the JSON schema (draft 7) of recipes, with every installed component's options.

    Editors that use Taplo, such as VS Code with "Even Better TOML", complete and check a recipe
    that begins with `#:schema ./recipe.schema.json`.  Print it again when plugins change.

    \b
    Examples:
      dddm schema > recipe.schema.json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.schema import schema_of

    show_json(schema_of(catalogue_of(ctx)))
