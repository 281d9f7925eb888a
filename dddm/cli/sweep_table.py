"""The table that `dddm run` prints at the end of a sweep."""

from typing import TYPE_CHECKING, Final

import click
from attrs import evolve

if TYPE_CHECKING:
    # Help must not wait for them to be imported.
    from rich.table import Table
    from rich.text import Text

    from dddm.report.sweep_results import Column, SweepTable

_WIDE: Final = 10_000
"""Characters in a line that holds any table."""


def show_table(table: "SweepTable") -> None:
    """Print the table on stdout, and below it the entries that are not finished.

    A terminal that is too narrow gets only the columns that have a best value.
    """
    from rich.console import Console

    console = Console()
    shown = rich_table(table)
    needed = console.measure(shown, options=console.options.update(width=_WIDE)).maximum
    if not console.is_terminal:
        console = Console(width=max(needed, console.width))
    elif needed > console.width:
        compared = tuple(column for column in table.columns if column.best is not None)
        shown = rich_table(evolve(table, columns=compared))
    console.print(shown)
    for name, sentence in table.notes:
        click.echo(f"{name}: {sentence}")


def rich_table(table: "SweepTable") -> "Table":
    from rich import box
    from rich.table import Table

    from dddm.report.sweep_page import explanation, time_and_size

    shown = Table(
        title=table.name,
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption="\n".join(explanation(table)),
        caption_justify="left",
        caption_style="",
    )
    shown.add_column("entry", no_wrap=True)
    for column in table.columns:
        heading = f"{column.title}\n{column.first.sampler}\n{column.counted_steps}"
        shown.add_column(heading, justify="right", no_wrap=True)
    for name in ("training", "parameters"):
        shown.add_column(name, justify="right", no_wrap=True)
    for k, row in enumerate(table.rows):
        cells = (_cell(column, k) for column in table.columns)
        shown.add_row(row.name, *cells, *time_and_size(row))
    return shown


def _cell(column: "Column", row: int) -> "Text":
    from rich.text import Text

    from dddm.report.sweep_results import UNRANKED
    from dddm.report.wording import number, spread

    score, deviation = column.scores[row], column.deviations[row]
    if score is None:
        return Text("–")
    shown = Text(number(score.value), "bold" if column.is_best(row) else "")
    more = "" if deviation is None else f" ± {spread(deviation)}"
    if score.seeds_counted:
        more += f" ({score.seeds_counted})"
    if not score.ranks:
        more += f" {UNRANKED}"
    return Text.assemble(shown, more) if more else shown
