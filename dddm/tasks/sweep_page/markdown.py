"""The table of a sweep in Markdown."""

from collections.abc import Sequence
from typing import Final

from dddm.scores.kinds import KINDS
from dddm.tasks.report_page.wording import duration, number
from dddm.tasks.sweep_page.columns import Column, SweepTable
from dddm.tasks.sweep_page.results import EntryResult

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
    lines += [f"{sentence}\n" for sentence in explanation(table)]
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
    for metric, kind in KINDS.items():
        if any(column.metric.split("-")[0] == metric for column in table.columns):
            best = {"less": "; less is better, and the least is in bold", "neither": ""}
            better = best.get(kind.better, "; more is better, and the most is in bold")
            sentences.append(f"{metric}: {kind.words}{better}; {kind.explained}.")
    return tuple(sentences)


def _value(column: Column, row: int) -> str:
    value = column.values[row]
    if value is None:
        return NONE
    return f"**{number(value)}**" if column.is_best(row) else number(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
