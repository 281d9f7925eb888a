"""The table of a sweep in Markdown and as a page of HTML."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from dddm.recipe.reported import KEY
from dddm.recipe.write import changes_to_lines
from dddm.report.charts import bar_chart
from dddm.report.html import render
from dddm.report.side_by_side import evaluation_charts, evaluation_tables, strips
from dddm.report.sweep_results import UNRANKED, Column, EntryResult, SweepTable
from dddm.report.wording import duration, number, spread
from dddm.support.quantities import counted, flops

NONE: Final = "–"


def to_markdown(table: SweepTable) -> str:
    """A heading, the table with the best of each column in bold, and what it holds."""
    names = ["entry", *(column.name for column in table.columns), "training", "parameters"]
    rows = [
        [row.name, *(_cell(column, k) for column in table.columns), *time_and_size(row)]
        for k, row in enumerate(table.rows)
    ]
    ruler = ["---", *("---:" for _ in names[1:])]
    lines = [f"# {table.name}", "", *map(_line, [names, ruler, *rows]), ""]
    lines += [f"{sentence}\n" for sentence in (*explanation(table), *comparison(table))]
    lines += [f"- `{name}`: {sentence}" for name, sentence in table.notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def time_and_size(row: EntryResult) -> tuple[str, str]:
    """Time of training, and parameters."""
    seconds = row.seconds.get("train")
    return (
        NONE if seconds is None else duration(seconds),
        NONE if row.parameters is None else f"{row.parameters:,}",
    )


def explanation(table: SweepTable) -> list[str]:
    """What the numbers are, in sentences."""
    if not table.columns:
        return ["There are no scores yet."]
    sentences = [f"Scores: {', '.join(table.by_score)}; the number after @ counts images."]
    for measure in table.measures:
        best = "" if measure.better == "neither" else f"; {measure.better} is better, best in bold"
        sentences.append(f"{measure.name}: {measure.words}{best}; {measure.explained}.")
    for name, columns in table.by_score.items():
        baselines = [f"{one.name} {number(one.value)}" for one in columns[0].first.baselines]
        if baselines:
            sentences.append(f"Without a network, {name}: {', '.join(baselines)}.")
    budgets = {row.entry.recipe.train.training_flops for row in table.rows}
    if len(budgets) == 1 and (budget := budgets.pop()) is not None:
        sentences.append(f"Each entry was trained with {flops(budget)}.")
    if table.training_seeds:
        seeds = counted(len(table.training_seeds), "training seed")
        sentences.append(
            f"±: standard deviation over {seeds}; scores and times are means over them."
        )
    elif any(deviation is not None for column in table.columns for deviation in column.deviations):
        sentences.append(
            "±: standard deviation over sets of samples with other seeds; the score is their mean."
        )
    return [*sentences, *table.unranked]


def comparison(table: SweepTable) -> list[str]:
    """What the paper reports of the sweep, and the order that was found here."""
    return [
        *(f"The paper, {sentence}." for sentence in table.paper),
        *(f"Here, {sentence}" for sentence in table.ranking),
    ]


def _cell(column: Column, row: int) -> str:
    score, deviation = column.scores[row], column.deviations[row]
    if score is None:
        return NONE
    shown = f"**{number(score.value)}**" if column.is_best(row) else number(score.value)
    if deviation is not None:
        shown += f" ± {spread(deviation)}"
    if score.seeds_counted:
        shown += f" ({score.seeds_counted})"
    if not score.ranks:
        shown += f" {UNRANKED}"
    return f"{shown} (paper {column.reported[row]})" if column.reported[row] else shown


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def sweep_page(table: SweepTable) -> str:
    """The page as HTML."""
    return render(
        "sweep_page.html.j2",
        table=table,
        unranked=UNRANKED,
        explanation=explanation(table),
        comparison=comparison(table),
        bars=bar_charts(table),
        evaluation_charts=evaluation_charts(table),
        evaluation_tables=evaluation_tables(table),
        strips=strips(table),
        changes=changes_of,
        time_and_size=time_and_size,
    )


def bar_charts(table: SweepTable) -> list[tuple[list[Column], list[Markup]]]:
    """For each score and sampler its columns that have a best value, with a chart for each."""
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in sorted(table.columns, key=lambda each: each.first.evaluations):
        if column.best is not None:
            groups.setdefault((column.first.name, column.first.sampler), []).append(column)
    names = [row.name for row in table.rows]
    return [
        (
            columns,
            [
                bar_chart(
                    names,
                    [None if score is None else score.value for score in column.scores],
                    deviations=column.deviations,
                    best=[column.is_best(k) for k in range(len(names))],
                    floor=column.floor,
                    title=column.counted_steps,
                    description=f"{column.title} of each entry at {column.counted_steps}",
                )
                for column in columns
            ],
        )
        for columns in groups.values()
    ]


def changes_of(row: EntryResult) -> list[str]:
    """What an entry changes, a line for each value, as `--set` takes it."""
    changes = {name: value for name, value in row.entry.changes.items() if name != KEY}
    return list(changes_to_lines(changes))
