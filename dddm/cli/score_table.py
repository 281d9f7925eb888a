"""Scores as tables on a terminal, one row for each set of samples.

The first table has measures whose floors differ between sets of samples, next to these floors, and
checks without a better direction.  The second has all others, with the scores of real images in
its last row.  Both end with the baselines, images made without a network.  Headings and
explanations come from the measures.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from rich import box
from rich.table import Table

from dddm.evaluate.compare import Comparison
from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.verdicts import verdicts
from dddm.interfaces.info import Detail, Measure
from dddm.support.quantities import evaluations_note

_NONE: Final = "–"
_LONG: Final = 1e7
_Row = dict[str, ScoreRecord]  # scores of one set of samples, by the name of the measure
_Column = tuple[str, Callable[[ScoreRecord], str]]  # heading, and the text of a cell


def tables(scores: Iterable[ScoreRecord]) -> Iterator[Table]:
    """All tables, grouped by features."""
    by_features: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_features.setdefault(score.features, []).append(score)
    for group in by_features.values() or [[]]:
        yield score_table(group)
        others = other_scores_table(group)
        if others is not None:
            yield others


def score_table(scores: Sequence[ScoreRecord]) -> Table:
    """The first table: sampler, steps, images, and measures with their floors and details."""
    table = _table("sampler", "steps", "images")
    table.title, table.title_justify, table.title_style = _title(scores), "left", ""
    caption: list[str] = []
    columns: list[tuple[Measure, _Column]] = []
    for measure, its_scores in _by_measure(scores, in_first_table=True):
        columns += [(measure, column) for column in _columns(measure, its_scores)]
        caption += _explanations(measure, its_scores)
    for _, (heading, _) in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in _rows(scores):
        first = next(iter(row.values()))
        cells = (cell(row[m.name]) if m.name in row else _NONE for m, (_, cell) in columns)
        table.add_row(first.sampler, _steps(first), str(first.images or _NONE), *cells)
    for name, images, values in _baseline_rows(scores):
        cells = (
            values.get(measure.name, _NONE) if heading == _heading(measure) else _NONE
            for measure, (heading, _) in columns
        )
        table.add_row(name, _NONE, str(images), *cells)
    caption += _baseline_explanations(scores)
    warnings = dict.fromkeys(warning for score in scores for warning in score.warnings)
    caption += [f"warning: {warning}" for warning in warnings]
    table.caption = "\n".join(["", *caption, *verdicts(scores)])
    return table


def other_scores_table(scores: Sequence[ScoreRecord]) -> Table | None:
    """The second table, with deviations over seeds below the values; None if it is empty."""
    by_measure = _by_measure(scores, in_first_table=False)
    if not by_measure:
        return None
    table = _table("sampler", "steps", *(_heading(measure) for measure, _ in by_measure))
    shown = [score for _, its_scores in by_measure for score in its_scores]
    caption = [_explanation(measure) for measure, _ in by_measure]
    table.caption = "\n".join(["", *caption, *_baseline_explanations(shown)])
    for row in _rows(scores):
        first = next(iter(row.values()))
        found = [row.get(measure.name) for measure, _ in by_measure]
        values = [_NONE if score is None else _value(score) for score in found]
        table.add_row(first.sampler, str(first.steps or _NONE), *values)
        deviations = ["" if score is None else _deviation(score) for score in found]
        if any(deviations):
            table.add_row("", "±", *deviations)
    real = [_real(its_scores) for _, its_scores in by_measure]
    if set(real) != {_NONE}:
        table.add_row("real", _NONE, *real)
    for name, _, texts in _baseline_rows(shown):
        table.add_row(name, _NONE, *(texts.get(measure.name, _NONE) for measure, _ in by_measure))
    return table


def comparison_table(found: Comparison, *, names: tuple[str, str]) -> Table:
    """The comparable scores of two runs, the better one in bold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("score", no_wrap=True)
    table.add_column("sampler", no_wrap=True)
    for name in ("steps", *names):
        table.add_column(name, justify="right", overflow="fold")
    for pair in found.pairs:
        if pair.differences:
            continue
        first, second = pair.first, pair.second
        best = first.measure.best([first.value, second.value]) if pair.ranks else None
        cells = (
            f"[bold]{_value(score)}[/bold]"
            if first.value != second.value and score.value == best
            else _value(score)
            for score in (first, second)
        )
        table.add_row(_heading(first.measure), first.sampler, _steps(first), *cells)
    return table


def _table(*columns: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,  # two columns, without which a usual table fits into 80
        pad_edge=False,
        collapse_padding=True,
        caption_justify="left",
        caption_style="",
    )
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _rows(scores: Iterable[ScoreRecord]) -> Iterator[_Row]:
    row: _Row = {}
    for score in scores:
        # Two sets of one sampler and step count differ only in that a measure occurs again.
        if row and (score.measure.name in row or _set(score) != _set(next(iter(row.values())))):
            yield row
            row = {}
        row[score.measure.name] = score
    if row:
        yield row


def _set(score: ScoreRecord) -> tuple[str, int, int]:
    return (score.sampler, score.steps, score.images)


def _by_measure(
    scores: Iterable[ScoreRecord], *, in_first_table: bool
) -> list[tuple[Measure, list[ScoreRecord]]]:
    grouped: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        grouped.setdefault(score.measure.name, []).append(score)
    return [
        (group[0].measure, group)
        for group in grouped.values()
        if in_first_table
        == (
            group[0].measure.is_check
            or any(
                floor.name == "resample" or floor.generated_value is not None
                for score in group
                for floor in score.floors
            )
        )
    ]


def _floor_names(scores: Iterable[ScoreRecord]) -> list[str]:
    return list(dict.fromkeys(floor.name for score in scores for floor in score.floors))


def _columns(measure: Measure, scores: Sequence[ScoreRecord]) -> Iterator[_Column]:
    if measure.better == "neither":
        yield _heading(measure), _value_and_held_out
    else:
        yield _heading(measure), _value_and_deviation
        for name in _floor_names(scores):
            yield name, partial(_floor, name=name)
    for detail in measure.details:
        yield detail.words, partial(_detail, detail=detail)


def _value_and_deviation(score: ScoreRecord) -> str:
    deviation = _deviation(score)
    return f"{_value(score)}±{deviation}" if deviation else _value(score)


def _value_and_held_out(score: ScoreRecord) -> str:
    floor = score.floor("held-out")
    return _value(score) + ("" if floor is None else f"/{_scaled(floor.value, score.measure)}")


def _floor(score: ScoreRecord, *, name: str) -> str:
    floor = score.floor(name)
    if floor is None:
        return _NONE
    numbers = (floor.value, floor.generated_value)
    return "/".join(_scaled(number, score.measure) for number in numbers if number is not None)


def _detail(score: ScoreRecord, *, detail: Detail) -> str:
    value = score.details.get(detail.name)
    if value is None:
        return _NONE
    return f"{value:.1%}" if detail.percent else _number(value)


def _baseline_rows(scores: Iterable[ScoreRecord]) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Name and number of images of each baseline, and its values by the names of the measures."""
    rows: dict[tuple[str, int], dict[str, str]] = {}
    for score in scores:
        for one in score.baselines:
            row = rows.setdefault((one.name, one.images), {})
            row[score.measure.name] = _scaled(one.value, score.measure)
    for (name, images), texts in rows.items():
        yield name, images, texts


def _baseline_explanations(scores: Iterable[ScoreRecord]) -> Iterator[str]:
    words = {one.name: one.words for score in scores for one in score.baselines}
    for name, text in words.items():
        yield f"{name}: no network: {text}"


def _explanations(measure: Measure, scores: Sequence[ScoreRecord]) -> Iterator[str]:
    yield _explanation(measure)
    heading, names = _heading(measure), _floor_names(scores)
    if measure.better == "neither":
        if "held-out" in names:
            yield f"{heading} generated / held-out images"
    else:
        if "resample" in names:
            yield f"resample: {heading} of as many training images, sampled with replacement"
        if "held-out" in names:
            floors = (score.floor("held-out") for score in scores)
            counts = sorted({floor.images for floor in floors if floor is not None})
            count = " or ".join(map(str, counts))
            yield f"held-out: {heading} of real / generated images, {count} of each"
    for detail in measure.details:
        yield f"{detail.words}: {detail.explained}"


def _explanation(measure: Measure) -> str:
    better = "" if measure.better == "neither" else f"; {measure.better} is better"
    return f"{_heading(measure)}: {measure.words}: {measure.explained}{better}"


def _heading(measure: Measure) -> str:
    return measure.heading or measure.name


def _title(scores: Sequence[ScoreRecord]) -> str:
    if not scores:
        return "no scores"
    published = dict.fromkeys(
        f"; {_heading(score.measure)} is {score.measure.published.upper()}"
        for score in scores
        if score.measure.published is not None and score.published_name is not None
    )
    return (
        f"against {scores[0].reference_images:,} training images, features: "
        f"{', '.join(sorted({score.features for score in scores}))}{''.join(published)}"
    )


def _steps(score: ScoreRecord) -> str:
    return f"{score.steps or _NONE}{evaluations_note(score.steps, score.evaluations)}"


def _real(scores: Sequence[ScoreRecord]) -> str:
    floors = (score.floor(name) for name in ("held-out", "training") for score in scores)
    first = next((floor for floor in floors if floor is not None), None)
    return _NONE if first is None else _scaled(first.value, scores[0].measure)


def _value(score: ScoreRecord) -> str:
    return _scaled(score.value, score.measure)


def _deviation(score: ScoreRecord) -> str:
    return "" if score.deviation is None else _scaled(score.deviation, score.measure)


def _scaled(value: float, measure: Measure) -> str:
    return _number(measure.times * value)


def _number(value: float) -> str:
    """About three digits; rounding errors become 0."""
    if abs(value) >= _LONG:
        return f"{value:.3g}"
    decimals = sum(abs(value) < limit for limit in (100, 10, 1))
    return f"{round(value, decimals) or 0.0:,.{decimals}f}"
