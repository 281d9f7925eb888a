"""The table of a sweep in Markdown."""

from collections.abc import Sequence
from typing import Final

from dddm.report.run_page.wording import duration, number, spread
from dddm.report.sweep_page.columns import Column, SweepTable
from dddm.report.sweep_page.order import rankings_of
from dddm.report.sweep_page.results import EntryResult

NONE: Final = "–"


def to_markdown(table: SweepTable) -> str:
    """A heading, the table with the best of each column in bold, and what it is measured in."""
    names = ["entry", *(column.name for column in table.columns), "training", "parameters"]
    rows = [
        [row.name, *(_value(column, k) for column in table.columns), *facts_of(row)]
        for k, row in enumerate(table.rows)
    ]
    ruler = ["---", *("---:" for _ in names[1:])]
    lines = [f"# {table.name}", "", *map(_line, [names, ruler, *rows]), ""]
    told = (*explanation(table), *about_deviations(table), *comparison(table))
    lines += [f"{sentence}\n" for sentence in told]
    lines += [f"- `{name}`: {sentence}" for name, sentence in table.notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def facts_of(row: EntryResult) -> tuple[str, str]:
    """Time of training and parameters, in words."""
    seconds = row.seconds.get("train")
    return (
        NONE if seconds is None else duration(seconds),
        NONE if row.parameters is None else f"{row.parameters:,}",
    )


def explanation(table: SweepTable) -> tuple[str, ...]:
    """What the numbers are, in sentences."""
    if not table.columns:
        return ("There are no scores yet.",)
    sentences = [f"Scores: {', '.join(table.score_names)}, the count behind @ in images."]
    for measure in {column.measure.name: column.measure for column in table.columns}.values():
        best = {"less": "; less is better, and the least is in bold", "neither": ""}
        better = best.get(measure.better, "; more is better, and the most is in bold")
        sentences.append(f"{measure.name}: {measure.words}{better}; {measure.explained}.")
    return tuple(sentences)


def about_deviations(table: SweepTable) -> tuple[str, ...]:
    """What ± is, where it stands."""
    if all(one is None for column in table.columns for one in column.deviations):
        return ()
    return ("±: standard deviation over sets of samples of other seeds; the score is their mean.",)


def comparison(table: SweepTable) -> tuple[str, ...]:
    """What the paper says of the sweep, and the order that was found here."""
    sentences = [f"The paper, {sentence}." for sentence in table.paper]
    for ranking in rankings_of(table):
        seeds = "" if ranking.over_seeds else "; one seed, so near ones are not told apart"
        sentences.append(f"Here, {ranking.where}: {ranking.order}{seeds}.")
    return tuple(sentences)


def _value(column: Column, row: int) -> str:
    value = column.values[row]
    if value is None:
        return NONE
    shown = f"**{number(value)}**" if column.is_best(row) else number(value)
    deviation = column.deviations[row]
    if deviation is not None:
        shown += f" ± {spread(deviation)}"
    return f"{shown} (paper {column.printed[row]})" if column.printed[row] else shown


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
