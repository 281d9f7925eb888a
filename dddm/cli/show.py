"""`dddm show`: a recipe with every default filled in."""

from typing import TYPE_CHECKING, Any

import click

from dddm.cli.options import catalogue_of, json_option, overrides_option, recipe_argument, show_json
from dddm.errors import printable

if TYPE_CHECKING:
    from dddm.recipe.sweep import Entry


@click.command()
@recipe_argument
@overrides_option
@click.option("--entry", metavar="NAME", help="Show only this entry of a sweep.")
@click.option("--origin", is_flag=True, help="Show where each value comes from.")
@json_option
@click.pass_context
def show(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    entry: str | None,
    origin: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Show RECIPE with every default filled in, as an equivalent recipe.

    What was chosen for its images and its objective, because the recipe leaves it out, has a
    comment that says why.

    With --origin, each value is a line that --set accepts, with its origin: `default`, a file and
    line, or --set.

    Sweep entries are shown as written; --entry shows one of them as a complete recipe.

    \b
    Examples:
      dddm show digits
      dddm show my.toml --origin --set train.epochs=2
      dddm show digits > mine.toml
      dddm show my-sweep.toml --entry l1
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.sweep import Sweep, choose_entry, choose_runs, read_recipe_or_sweep
    from dddm.recipe.write import sweep_to_lines, to_lines, to_toml, with_reasons

    found = read_recipe_or_sweep(recipe, overrides=overrides, catalogue=catalogue_of(ctx))
    if entry is not None:
        runs = choose_runs(found, entry)
        found = runs[0].recipe if len(runs) == 1 else choose_entry(found, entry).recipe
    read, entries = (found.base, found.entries) if isinstance(found, Sweep) else (found, ())
    seeds = found.training_seeds if isinstance(found, Sweep) else ()
    if as_json:
        facts = {"fingerprint": read.fingerprint, "recipe": read.tables, "origins": read.origins}
        of_sweep: dict[str, Any] = {"training_seeds": list(seeds)} if seeds else {}
        if entries:
            of_sweep["entries"] = [_facts(one) for one in entries]
        show_json(facts | of_sweep)
    elif origin:
        for line in (*to_lines(read), *sweep_to_lines(entries, training_seeds=seeds)):
            click.echo(printable(line))
    else:
        text = with_reasons(to_toml(read, entries=entries, training_seeds=seeds), read)
        click.echo(printable(text), nl=False)


def _facts(entry: "Entry") -> dict[str, Any]:
    return {"name": entry.name, "changes": entry.changes, "fingerprint": entry.recipe.fingerprint}
