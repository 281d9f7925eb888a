"""Scores as tables: one row for each set of samples.

Measures whose floors differ between sets of samples, and checks without a better direction, are in
the first table, next to their floors.  The others are in a second one, whose last row has the
scores of real images.  All headings and explanations come from the measures.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich import box
from rich.table import Table

from dddm.evaluate.compare import Comparison
from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.info import Measure
from dddm.interfaces.measurement import Floor
from dddm.support.quantities import evaluations_note

_NONE: Final = "–"
_Row = dict[str, ScoreRecord]  # of one set of samples, by the name of the measure


def tables(scores: Iterable[ScoreRecord]) -> Iterator[Table]:
    """All tables, grouped by features."""
    by_features: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_features.setdefault(score.features, []).append(score)
    for alike in by_features.values() or [[]]:
        yield score_table(alike)
        others = other_scores_table(alike)
        if others is not None:
            yield others


def score_table(scores: Iterable[ScoreRecord]) -> Table:
    """The first table; columns: sampler, steps, images, and measures with floors and details."""
    rows = _rows(scores)
    every = [score for row in rows for score in row.values()]
    measures = [measure for measure in _measures(rows) if _stands_first(rows, measure)]
    table = _table("sampler", "steps", "images")
    table.title, table.title_justify, table.title_style = _title(every), "left", ""
    explained = [line for measure in measures for line in _explained_first(rows, measure)]
    table.caption = "\n".join([*explained, *_warnings(every)])
    for measure in measures:
        for name in _columns(rows, measure):
            table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        score = next(iter(row.values()))
        facts = (score.sampler, _steps(score), str(score.images or _NONE))
        cells = [cell for measure in measures for cell in _cells(rows, row, measure)]
        table.add_row(*facts, *cells)
    return table


def other_scores_table(scores: Iterable[ScoreRecord]) -> Table | None:
    """The second table, with deviations over seeds below the values; None if it is empty."""
    rows = _rows(scores)
    measures = [measure for measure in _measures(rows) if not _stands_first(rows, measure)]
    if not measures:
        return None
    table = _table("sampler", "steps", *map(_heading, measures))
    table.caption = "\n".join(map(_explained, measures))
    for row in rows:
        sampler, steps, _ = _set_of(*row.values())
        found = [row.get(measure.name) for measure in measures]
        table.add_row(sampler, str(steps or _NONE), *map(_value, found))
        deviations = list(map(_deviation, found))
        if any(deviations):
            table.add_row("", "±", *deviations)
    real = [_real(rows, measure) for measure in measures]
    if set(real) != {_NONE}:
        table.add_row("real", _NONE, *real)
    return table


def _table(*columns: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption_justify="left",
        caption_style="",
    )
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def comparison_table(found: Comparison, *, names: tuple[str, str]) -> Table:
    """The comparable scores of two runs, the better one in bold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("score", no_wrap=True)
    table.add_column("sampler", no_wrap=True)
    for name in ("steps", *names):
        table.add_column(name, justify="right", overflow="fold")
    for pair in found.pairs:
        if pair.why_not:
            continue
        measure = pair.one.measure
        values = [pair.one.value, pair.other.value]
        best = None if values[0] == values[1] else measure.best(values)
        cells = (
            f"[bold]{_scaled(value, measure)}[/bold]" if value == best else _scaled(value, measure)
            for value in values
        )
        table.add_row(_heading(measure), pair.one.sampler, _steps(pair.one), *cells)
    return table


def _measures(rows: Sequence[_Row]) -> list[Measure]:
    return list({name: score.measure for row in rows for name, score in row.items()}.values())


def _stands_first(rows: Sequence[_Row], measure: Measure) -> bool:
    if measure.better == "neither":
        return True
    scores = [row[measure.name] for row in rows if measure.name in row]
    return any(
        f.name == "resample" or f.generated_value is not None for s in scores for f in s.floors
    )


def _floor_names(rows: Sequence[_Row], measure: Measure) -> list[str]:
    scores = [row[measure.name] for row in rows if measure.name in row]
    return list(dict.fromkeys(floor.name for score in scores for floor in score.floors))


def _columns(rows: Sequence[_Row], measure: Measure) -> Iterator[str]:
    yield _heading(measure)
    if measure.better != "neither":
        yield from _floor_names(rows, measure)
    yield from (detail.words for detail in measure.details)


def _cells(rows: Sequence[_Row], row: _Row, measure: Measure) -> Iterator[str]:
    score = row.get(measure.name)
    if measure.better == "neither":
        held_out = None if score is None else score.floor("held-out")
        real = "" if held_out is None else f"/{_scaled(held_out.value, measure)}"
        yield _value(score) + real
    else:
        yield _value(score) + ("" if not _deviation(score) else f"±{_deviation(score)}")
        for name in _floor_names(rows, measure):
            yield _floor_cell(None if score is None else score.floor(name), measure)
    for detail in measure.details:
        found = None if score is None else score.details.get(detail.name)
        if found is None:
            yield _NONE
        else:
            yield f"{found:.1%}" if detail.percent else _number(found)


def _floor_cell(floor: Floor | None, measure: Measure) -> str:
    if floor is None:
        return _NONE
    value = _scaled(floor.value, measure)
    if floor.generated_value is None:
        return value
    return f"{value}/{_scaled(floor.generated_value, measure)}"


def _explained_first(rows: Sequence[_Row], measure: Measure) -> Iterator[str]:
    yield _explained(measure)
    names = _floor_names(rows, measure)
    heading = _heading(measure)
    if measure.better == "neither":
        if "held-out" in names:
            yield f"{heading} generated / held-out images"
    else:
        if "resample" in names:
            yield f"resample: {heading} of as many training images, sampled with replacement"
        if "held-out" in names:
            count = _held_out_count(rows, measure)
            yield f"held-out: {heading} of real / generated images, {count} of each"
    for detail in measure.details:
        yield f"{detail.words}: {detail.explained}"


def _heading(measure: Measure) -> str:
    return measure.heading or measure.name


def _explained(measure: Measure) -> str:
    better = "" if measure.better == "neither" else f"; {measure.better} is better"
    return f"{_heading(measure)}: {measure.words}: {measure.explained}{better}"


def _value(score: ScoreRecord | None) -> str:
    return _NONE if score is None else _scaled(score.value, score.measure)


def _deviation(score: ScoreRecord | None) -> str:
    if score is None or score.deviation is None:
        return ""
    return _scaled(score.deviation, score.measure)


def _real(rows: Sequence[_Row], measure: Measure) -> str:
    for name in ("held-out", "training"):
        for row in rows:
            floor = row[measure.name].floor(name) if measure.name in row else None
            if floor is not None:
                return _scaled(floor.value, measure)
    return _NONE


def _scaled(value: float, measure: Measure) -> str:
    return _number(measure.times * value)


def _rows(scores: Iterable[ScoreRecord]) -> list[_Row]:
    rows: list[_Row] = []
    for score in scores:
        name = score.measure.name
        if not rows or name in rows[-1] or _set_of(score) != _set_of(*rows[-1].values()):
            rows.append({})
        rows[-1][name] = score
    return rows


def _steps(score: ScoreRecord) -> str:
    note = evaluations_note(score.steps, score.evaluations)
    return f"{score.steps or _NONE}{note}"


def _set_of(score: ScoreRecord, *_others: ScoreRecord) -> tuple[str, int, int]:
    return (score.sampler, score.steps, score.images)


def _title(scores: list[ScoreRecord]) -> str:
    if not scores:
        return "no scores"
    features = sorted({score.features for score in scores})
    known = {
        f"{_heading(score.measure)} is {score.measure.published.upper()}": None
        for score in scores
        if score.measure.published is not None and score.published_name is not None
    }
    images = scores[0].reference_images
    also = "".join(f"; {one}" for one in known)
    return f"against {images:,} training images, features: {', '.join(features)}{also}"


def _warnings(scores: list[ScoreRecord]) -> list[str]:
    warnings = dict.fromkeys(warning for score in scores for warning in score.warnings)
    return [f"warning: {warning}" for warning in warnings]


def _held_out_count(rows: Sequence[_Row], measure: Measure) -> str:
    floors = [row[measure.name].floor("held-out") for row in rows if measure.name in row]
    counts = sorted({floor.images for floor in floors if floor is not None})
    return " or ".join(str(count) for count in counts)


def _number(value: float) -> str:
    """About three digits, and rounding errors as 0."""
    decimals = sum(abs(value) < limit for limit in (100, 10, 1))
    return f"{round(value, decimals) or 0.0:,.{decimals}f}"
