"""The page of a sweep: its table, bars, and the way to each entry's report."""

from importlib.resources import files
from pathlib import Path
from typing import Final

import jinja2

from dddm.recipe.reported import KEY
from dddm.recipe.write import changes_to_lines
from dddm.report.run_page.wording import counted, number, spread
from dddm.report.sweep_page.bars import bars_of
from dddm.report.sweep_page.columns import SweepTable
from dddm.report.sweep_page.markdown import about_deviations, comparison, explanation, facts_of
from dddm.report.sweep_page.results import EntryResult

_HERE: Final = Path(__file__).parent


def render(table: SweepTable) -> str:
    """The page as HTML; everything in it that comes from a file is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["spread"] = spread
    environment.filters["counted"] = counted
    environment.filters["changes"] = changes_of
    environment.filters["facts"] = facts_of
    style = files("dddm.report.run_page").joinpath("style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        table=table,
        bars=bars_of(table),
        explanation=(*explanation(table), *about_deviations(table)),
        comparison=comparison(table),
        style=style,
    )


def changes_of(row: EntryResult) -> tuple[str, ...]:
    """What an entry changes, a line for each value, as `--set` takes it."""
    changes = {name: value for name, value in row.entry.changes.items() if name != KEY}
    return tuple(changes_to_lines(changes))
