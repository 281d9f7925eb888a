"""`dddm report`: writes the HTML report of a run."""

from pathlib import Path

import click

from dddm.cli.common import catalogue_of, json_option, show_json


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--open", "open_page", is_flag=True, help="Also open it in the browser.")
@json_option
@click.pass_context
def report(
    ctx: click.Context,
    run: Path | None,
    open_page: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Write report.html into the folder RUN, by default that of the newest run.

    The report is one page that needs no network: samples at each step count beside real images,
    scores with their floors, training curves, the recipe and versions.  It shows what the run
    folder holds by now, so it can be written during a run.  Prints the path of the page.

    \b
    Examples:
      dddm report
      dddm report runs/digits --open
      dddm report --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.read import read_recipe
    from dddm.train.run_folder import find_run

    folder = find_run(None if run is None else str(run))
    recipe = read_recipe(folder.recipe, catalogue=catalogue_of(ctx))

    from dddm.report.run_page import write_report

    page = write_report(recipe, folder=folder)
    if as_json:
        show_json({"report": str(page)})
    else:
        click.echo(str(page))
    if open_page and click.launch(str(page.resolve())):
        click.echo("no browser could be opened; open the file in any browser", err=True)
