"""`dddm report`: writes the HTML report of a run."""

from pathlib import Path

import click

from dddm.cli.options import find_trained, json_option, run_argument, show_json


@click.command()
@run_argument
@click.option("--open", "open_page", is_flag=True, help="Open it in the browser.")
@json_option
@click.pass_context
def report(
    ctx: click.Context,
    run: Path | None,
    open_page: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Write RUN's report.html and print its path; without RUN, the newest run's.

    The report is one self-contained page: samples at each step count beside real images, scores
    with their floors, training curves, the recipe and versions.  It shows what the run folder holds
    by now, so it can also be written during a run.

    \b
    Examples:
      dddm report
      dddm report runs/digits --open
      dddm report --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    folder, recipe = find_trained(ctx, run)

    from dddm.report.run_page import write_report

    page = write_report(recipe, folder=folder)
    show_json({"report": str(page)}) if as_json else click.echo(str(page))
    if open_page and click.launch(str(page.resolve())):
        click.echo("no browser could be opened; open the file by hand", err=True)
