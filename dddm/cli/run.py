"""`dddm run`: trains, samples, evaluates and reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dddm.cli.common import (
    catalogue_of,
    device_option,
    json_option,
    overrides_option,
    recipe_argument,
    show_json,
)

if TYPE_CHECKING:
    from dddm.recipe.model import Recipe


@click.command()
@recipe_argument
@overrides_option
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where the run is kept.  [default: runs/ and the recipe's name]",
)
@click.option("--entry", metavar="NAME", help="Of a sweep, run this entry alone.")
@device_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what it would take, in seconds and without making anything.",
)
@json_option
@click.pass_context
def run(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    folder: Path | None,
    entry: str | None,
    device: str,
    dry_run: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Train, sample, evaluate and report what RECIPE says.

    RECIPE is a file, or the name of a recipe that comes with dddm.  Whatever is done already is
    not done again: after Ctrl-C, a crash or a loss of power the same command goes on from the last
    checkpoint, to the same result.  It prints the path of the report.

    Where RECIPE has a sweep, every entry is a run of its own in a folder within --folder; then it
    prints a table of all entries and the path of the page that shows them side by side.

    \b
    Examples:
      dddm run digits
      dddm run recipes/digits.toml --folder runs/first
      dddm run digits --set train.epochs=2 --set seed=1 --folder runs/short
      dddm run imagenet64_deep --dry-run
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.run.stopping import listening

    # From here on Ctrl-C asks; before torch is imported, so that it is heard at any moment.
    with listening() as stop:
        from dddm.recipe.sweep import read_sweep

        catalogue = catalogue_of(ctx)
        sweep = read_sweep(recipe, overrides=overrides, catalogue=catalogue)
        read = sweep.base
        chosen = sweep.entries if entry is None else (sweep.entry(entry),)
        if dry_run:
            _look_ahead([one.recipe for one in chosen] or [read], as_json=as_json)
            return
        path = folder if folder is not None else Path("runs") / read.name
        if chosen:
            from dddm.cli.sweep import run_entries

            run_entries(
                sweep,
                chosen,
                folder=path,
                device=device,
                catalogue=catalogue,
                stop=stop,
                as_json=as_json,
            )
            return
        from dddm.run.prepare import prepare_folder
        from dddm.run.weights import refuse_missing_weights

        refuse_missing_weights(read)
        place = prepare_folder(read, path)

        from dddm.run.device import choose_device
        from dddm.tasks.observers import observers_for
        from dddm.tasks.run import run as run_recipe

        page = run_recipe(
            read,
            folder=place,
            device=choose_device(device),
            observers=observers_for(read, catalogue=catalogue, folder=place),
            stop=stop,
        )
    if as_json:
        show_json({"report": str(page)})
    else:
        click.echo(str(page))


def _look_ahead(recipes: "Sequence[Recipe]", *, as_json: bool) -> None:
    from dddm.cli.outlook import show_outlook
    from dddm.tasks.dry_run import look_ahead

    found = []
    for recipe in recipes:
        outlook = look_ahead(recipe)
        found.append({"recipe": recipe.name, **outlook.as_table})
        if not as_json:
            show_outlook(recipe, outlook)
    if as_json:
        show_json(found[0] if len(found) == 1 else {"entries": found})
