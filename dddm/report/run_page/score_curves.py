"""Scores over network evaluations, as the paper's figure 5, from the scores of one table."""

from collections.abc import Mapping, Sequence
from typing import final

from attrs import frozen

from dddm.interfaces.info import Measure
from dddm.report.run_page.paper_comparison import Beside
from dddm.report.run_page.score_rows import Row, ScoreTable, floor_of
from dddm.report.run_page.step_charts import Line, score_chart


@final
@frozen(kw_only=True)
class ScoreCurves:
    """A score over network evaluations.

    Attributes:
        samplers: one for each line, in the order of the lines' colours.
        floor: whether the floor is drawn.
        deviations: whether deviations over seeds are.
        paper: whether figures of the paper are.
    """

    name: str
    samplers: tuple[str, ...]
    floor: bool
    deviations: bool
    paper: bool
    svg: str


def curves_of(
    tables: Sequence[ScoreTable],
    leading: Measure | None,
    paper: Mapping[str, Beside] | None = None,
) -> tuple[ScoreCurves, ...]:
    """A chart for each leading score that a sampler has at two numbers of evaluations or more.

    Args:
        tables: of all scores.
        leading: the measure that is drawn.
        paper: what the paper prints, by the tables' names.
    """
    found = []
    for k, table in enumerate(table for table in tables if table.measure == leading):
        rows: dict[str, list[Row]] = {}
        for row in table.rows:
            rows.setdefault(row.score.sampler, []).append(row)
        resamples = [floor_of(row.score, "resample") for row in table.rows]
        floors = sorted({floor.value for floor in resamples if floor is not None})
        beside = (paper or {}).get(table.name)
        points = {} if beside is None else beside.points
        svg = score_chart(
            [_line(of_one) for of_one in rows.values()],
            floors=floors,
            name=f"score-{k + 1}",
            paper=points,
        )
        if svg is not None:
            curves = ScoreCurves(
                name=table.name,
                samplers=tuple(rows),
                floor=bool(floors),
                deviations=any(row.deviation is not None for row in table.rows),
                paper=bool(points),
                svg=svg,
            )
            found.append(curves)
    return tuple(found)


def _line(rows: Sequence[Row]) -> Line:
    return Line(
        values={row.score.evaluations: row.score.value for row in rows},
        deviations={
            row.score.evaluations: row.deviation for row in rows if row.deviation is not None
        },
    )
