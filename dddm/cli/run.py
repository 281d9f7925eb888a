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
from dddm.cli.several import launch_again, nproc_option
from dddm.errors import UsageError
from dddm.train.launch import is_worker

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
@nproc_option
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
    nproc: int | None,
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
      dddm run cifar10 --nproc 8
      torchrun --nproc-per-node 8 -m dddm run cifar10
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.train.stopping import stop_on_signals

    # From here on Ctrl-C asks; before torch is imported, so that it is heard at any moment.
    with stop_on_signals() as stop:
        from dddm.recipe.model import check_processes
        from dddm.recipe.sweep import Sweep, choose_entry, read_recipe_or_sweep

        catalogue = catalogue_of(ctx)
        read = read_recipe_or_sweep(recipe, overrides=overrides, catalogue=catalogue)

        def run_here(one: "Recipe", path: Path) -> Path | None:
            """Run in this process; the page, or None in one that is not the first of several."""
            from dddm.train.context import open_run
            from dddm.train.events import subscribers_for
            from dddm.workflow.run import run as run_recipe

            with open_run(one, path, device=device, stop=stop) as context:
                if not context.processes.main:
                    run_recipe(context)
                    return None
                observers = subscribers_for(one, catalogue=catalogue, folder=context.folder)
                return run_recipe(context, observers=observers)

        one = None if entry is None else choose_entry(read, entry)
        if isinstance(read, Sweep):
            chosen = read.entries if one is None else (one,)
            recipes = [each.recipe for each in chosen]
            path = folder or Path("runs") / read.base.name
        else:
            recipes = [read]
            path = folder or Path("runs") / read.name
        if dry_run:
            _show_costs(recipes, as_json=as_json)
            return
        if isinstance(read, Sweep):
            if nproc is None and not is_worker():
                from dddm.cli.sweep import run_entries

                run_entries(
                    read, chosen, folder=path, run_entry=run_here, stop=stop, as_json=as_json
                )
                return
            if one is None:
                raise UsageError(
                    "several processes run one entry of a sweep at a time",
                    where=recipe,
                    remedy="name one: --entry " + " or --entry ".join(each.name for each in chosen),
                )
            read, path = one.recipe, path / one.name
        if nproc is not None and not is_worker():
            check_processes(nproc, batch_images=read.batch_units, shards=read.train.shards)
        else:
            page = run_here(read, path)
            if page is not None:
                show_json({"report": str(page)}) if as_json else click.echo(str(page))
            return
    # Outside the block: the signals are now the launcher's to pass on.
    ctx.exit(launch_again(ctx, processes=nproc))


def _show_costs(recipes: "Sequence[Recipe]", *, as_json: bool) -> None:
    from dddm.cli.cost_table import show_cost
    from dddm.workflow.dry_run import estimate_cost

    found = []
    for recipe in recipes:
        estimate = estimate_cost(recipe)
        found.append({"recipe": recipe.name, **estimate.as_table})
        if not as_json:
            show_cost(recipe, estimate)
    if as_json:
        show_json(found[0] if len(found) == 1 else {"entries": found})
