"""Entries of a sweep side by side: scores by network evaluations, and samples of one noise."""

from collections.abc import Mapping, Sequence
from typing import Final, final

from attrs import frozen
from PIL import Image

from dddm.errors import DataError
from dddm.evaluate.record import ScoreRecord
from dddm.generate.storage import load_samples
from dddm.interfaces.measurement import CLASS_GAUSSIAN
from dddm.report.charts import COLOURS, Chart, Line, line_chart
from dddm.report.scores import RESAMPLE, leading_measure
from dddm.report.sweep_results import UNRANKED, EntryResult, EntryScore, SweepTable
from dddm.report.wording import number, spread
from dddm.support.images import grid
from dddm.support.quantities import counted_steps

_IMAGES: Final = 20
"""Of each entry in a strip."""


@final
@frozen(kw_only=True)
class Strip:
    """The first images of an entry at its fewest network evaluations, or at the best of more.

    Attributes:
        caption: sampler, steps and score.
    """

    name: str
    caption: str
    picture: Image.Image


@final
@frozen(kw_only=True)
class EvaluationTable:
    """The leading measure by network evaluations.

    Attributes:
        name: of the score, in full.
        evaluations: the columns.
        rows: entry, sampler and a score for each column, in the order of the first one of each;
            last those whose first score does not rank.
        best: of each column; None where fewer than two scores rank.
    """

    name: str
    evaluations: tuple[int, ...]
    rows: tuple[tuple[str, str, tuple[EntryScore | None, ...]], ...]
    best: tuple[float | None, ...]


def leading_scores(table: SweepTable) -> dict[str, dict[tuple[str, str], list[EntryScore]]]:
    """Scores of the leading measure by their full name, then by entry and sampler.

    Those of one entry and sampler are in the order of network evaluations.
    """
    leading = leading_measure(score.first for row in table.rows for score in row.scores)
    found: dict[str, dict[tuple[str, str], list[EntryScore]]] = {}
    for row in table.rows:
        for score in sorted(row.scores, key=lambda one: one.first.evaluations):
            record = score.first
            if record.measure == leading:
                lines = found.setdefault(record.name, {})
                lines.setdefault((row.name, record.sampler), []).append(score)
    return found


def evaluation_tables(table: SweepTable) -> list[EvaluationTable]:
    """One for each way of measuring it that two entries or samplers share."""
    return [
        _evaluation_table(name, by_line)
        for name, by_line in leading_scores(table).items()
        if len(by_line) > 1
    ]


def _evaluation_table(
    name: str, by_line: Mapping[tuple[str, str], Sequence[EntryScore]]
) -> EvaluationTable:
    measure = next(iter(by_line.values()))[0].first.measure
    columns = sorted({one.first.evaluations for scores in by_line.values() for one in scores})
    rows = []
    for (entry, sampler), scores in by_line.items():
        by_count = {one.first.evaluations: one for one in scores}
        rows.append((entry, sampler, tuple(by_count.get(count) for count in columns)))

    def rank(row: tuple[str, str, tuple[EntryScore | None, ...]]) -> tuple[bool, int, float]:
        first = next(k for k, score in enumerate(row[2]) if score is not None)
        score = row[2][first]
        assert score is not None
        value = -score.value if measure.better == "more" else score.value
        return not score.ranks, first, value

    by_column = [[row[2][k] for row in rows] for k in range(len(columns))]
    values = [
        [score.value for score in column if score is not None and score.ranks]
        for column in by_column
    ]
    return EvaluationTable(
        name=name,
        evaluations=tuple(columns),
        rows=tuple(sorted(rows, key=rank)),
        best=tuple(measure.best(each) if len(each) > 1 else None for each in values),
    )


def evaluation_charts(table: SweepTable) -> list[Chart]:
    """The leading measure over network evaluations, a line for each entry and sampler.

    One chart for each way of measuring it in which entries differ in their evaluations.
    """
    charts = []
    for name, by_line in leading_scores(table).items():
        samplers = dict(reversed(by_line))  # the first sampler of each entry
        lines = [
            Line(
                name=(entry if samplers[entry] == sampler else f"{entry}, {sampler}")
                + ("" if all(one.ranks for one in scores) else f" {UNRANKED}"),
                points=[(one.first.evaluations, one.value) for one in scores],
                deviations={
                    one.first.evaluations: one.deviation
                    for one in scores
                    if one.deviation is not None
                },
                colour=k % COLOURS + 1,
                dotted=k >= COLOURS,
            )
            for k, ((entry, sampler), scores) in enumerate(by_line.items())
        ]
        measure = next(iter(by_line.values()))[0].first.measure
        every = [one.first for scores in by_line.values() for one in scores]
        floors = _floors(every)
        if len({one.evaluations for one in every}) == 1 or len(by_line) == 1:
            continue
        chart = line_chart(
            lines,
            title=f"{measure.words}; {measure.better} is better",
            x_label="network evaluations",
            description=f"{measure.words} of each entry over network evaluations",
            caption=f"{name}.",
            log_x=True,
            log_y=True,
            floors=list(floors.values()),
            floor="; ".join(f"{words} {number(value)}" for words, value in floors.items()),
            fewest_points=1,
        )
        if chart is not None:
            charts.append(chart)
    return charts


def _floors(records: Sequence[ScoreRecord]) -> dict[str, float]:
    """What needs no network: training images again, and a Gaussian for each class."""
    found: dict[str, float] = {}
    for one in records:
        if (floor := one.floor(RESAMPLE)) is not None:
            found.setdefault("a resample of the training images", floor.value)
        if (baseline := one.baseline(CLASS_GAUSSIAN)) is not None:
            found.setdefault(baseline.words, baseline.value)
    return found


def strips(table: SweepTable) -> list[Strip]:
    """Of each entry its samples at the fewest evaluations and the best ones at more.

    Entries are in the order of their scores at the fewest, those that do not rank last.  Images of
    one column started from the same noise, where samplers and shapes are alike.
    """
    found: list[tuple[bool, float, list[Strip]]] = []
    for row in table.rows:
        scores = _scores_for_order(table, row)
        if not scores:
            continue
        fewest = min(scores, key=lambda one: one.first.evaluations)
        better = fewest.first.measure.better
        best = (max if better == "more" else min)(scores, key=lambda one: one.value)
        chosen = [fewest] if best is fewest else [fewest, best]
        made = [strip for score in chosen if (strip := _strip(row, score)) is not None]
        if made:
            value = -fewest.value if better == "more" else fewest.value
            found.append((not fewest.ranks, value, made))
    found.sort(key=lambda each: each[:2])
    return [strip for *_, made in found for strip in made]


def _scores_for_order(table: SweepTable, row: EntryResult) -> list[EntryScore]:
    """Leading scores of an entry, all of one name; of one that ranks entries, if there is one."""
    by_name = [
        [(entry, score) for (entry, _), every in by_line.items() for score in every]
        for by_line in leading_scores(table).values()
    ]
    by_name.sort(key=lambda pairs: not any(score.ranks for _, score in pairs))
    of_row = ([score for entry, score in pairs if entry == row.name] for pairs in by_name)
    return next((scores for scores in of_row if scores), [])


def _strip(row: EntryResult, score: EntryScore) -> Strip | None:
    record = score.first
    run = next(one for one in row.runs if record in one.scores)
    folder = run.folder.samples / f"{record.sampler}-{record.steps}"
    try:
        images = load_samples(folder).images[:_IMAGES]
    except (DataError, OSError):
        return None  # the entry's own page says what is wrong
    shown = number(score.value)
    if score.deviation is not None:
        shown += f" ± {spread(score.deviation)}"
    shown += "" if score.ranks else f" {UNRANKED}"
    steps = counted_steps(record.steps, record.evaluations)
    return Strip(
        name=row.name,
        caption=f"{record.sampler}, {steps}: {record.measure.words} {shown}",
        picture=grid(images, columns=_IMAGES),
    )
