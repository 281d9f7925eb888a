"""Scores as a table: one row for each set of samples, real images' scores beside theirs."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich import box
from rich.table import Table

from dddm.scores.compare import Comparison
from dddm.scores.kinds import KINDS, best_of
from dddm.scores.over_seeds import DEVIATION
from dddm.scores.record import Floor, Score
from dddm.support.quantities import evaluations_note

_NONE: Final = "–"
_FIRST: Final = ("fd", "nearest")
_TIMES_1000: Final = ("kid",)
_HEADINGS: Final = {
    "kid": "kid·10³",
    "precision": "prec.",
    "density": "dens.",
    "coverage": "cover.",
    "authenticity": "auth.",
}
_CAPTION: Final = """\
FD: Fréchet distance of generated images; less is better
resample: FD of as many training images, drawn again with repetition
held-out: FD of real / generated images, {count} of each
nearest: median distance to a training image, generated / held-out
close: nearer to one than 99 % of held-out images; 1 % is usual"""


def tables(scores: Iterable[Score]) -> Iterator[Table]:
    """All tables, those of the same features together."""
    by_features: dict[str, list[Score]] = {}
    for score in scores:
        by_features.setdefault(score.features, []).append(score)
    for alike in by_features.values() or [[]]:
        yield score_table(alike)
        others = other_scores_table(alike)
        if others is not None:
            yield others


def score_table(scores: Iterable[Score]) -> Table:
    """The table; its title names the features and the number of training images.

    Columns: sampler, steps, images; FD with its floors; nearest with what held-out images have.
    """
    rows = _rows(scores)
    every = [score for row in rows for score in row.values()]
    table = Table(
        title=_title(every),
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption="\n".join([_CAPTION.format(count=_held_out_count(every)), *_warnings(every)]),
        caption_justify="left",
        caption_style="",
    )
    table.add_column("sampler", no_wrap=True)
    for name in ("steps", "images", "FD", "resample", "held-out", "nearest", "close"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        score = next(iter(row.values()))
        facts = (score.sampler, _steps(score), str(score.images or _NONE))
        table.add_row(*facts, *_frechet(row.get("fd")), *_nearest(row.get("nearest")))
    return table


def other_scores_table(scores: Iterable[Score]) -> Table | None:
    """What else was measured, real images in the last row; None where there is nothing else.

    A mean over seeds has its standard deviation below it.

    Columns: sampler, steps; one for each further score.
    """
    rows = _rows(scores)
    kinds = [kind for kind in KINDS if kind not in _FIRST and any(kind in row for row in rows)]
    if not kinds:
        return None
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption="\n".join(_explained(kind) for kind in kinds),
        caption_justify="left",
        caption_style="",
    )
    table.add_column("sampler", no_wrap=True)
    for name in ("steps", *(_HEADINGS.get(kind, kind) for kind in kinds)):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        score = next(iter(row.values()))
        table.add_row(score.sampler, _steps(score), *(_value(row.get(kind)) for kind in kinds))
        deviations = [_deviation(row.get(kind)) for kind in kinds]
        if any(deviations):
            table.add_row("", "±", *deviations)
    real = [_real(rows, kind) for kind in kinds]
    if set(real) != {_NONE}:
        table.add_row("real", _NONE, *real)
    return table


def comparison_table(found: Comparison, *, names: tuple[str, str]) -> Table:
    """Scores of two runs that can be compared; the better of two in bold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("score", no_wrap=True)
    table.add_column("sampler", no_wrap=True)
    for name in ("steps", *names):
        table.add_column(name, justify="right", overflow="fold")
    for pair in found.pairs:
        if pair.why_not:
            continue
        values = [pair.one.value, pair.other.value]
        best = None if values[0] == values[1] else best_of(pair.one.metric, values)
        cells = (
            f"[bold]{_scaled(value, pair.one.metric)}[/bold]"
            if value == best
            else _scaled(value, pair.one.metric)
            for value in values
        )
        named = _HEADINGS.get(pair.one.metric, pair.one.metric)
        table.add_row(named, pair.one.sampler, _steps(pair.one), *cells)
    return table


def _explained(metric: str) -> str:
    kind = KINDS[metric]
    named = _HEADINGS.get(metric, metric)
    return f"{named} {kind.words}: {kind.explained}; {kind.better} is better"


def _value(score: Score | None) -> str:
    return _NONE if score is None else _scaled(score.value, score.metric)


def _deviation(score: Score | None) -> str:
    """The standard deviation over seeds; nothing where there is one set of samples."""
    deviation = None if score is None else score.details.get(DEVIATION)
    return "" if score is None or deviation is None else _scaled(deviation, score.metric)


def _with_deviation(score: Score) -> str:
    """The value, and its standard deviation where it is a mean over seeds."""
    deviation = _deviation(score)
    return _value(score) + (f"±{deviation}" if deviation else "")


def _real(rows: list[dict[str, Score]], kind: str) -> str:
    """What held-out images reach, or training images where there are none."""
    for name in ("held-out", "training"):
        for row in rows:
            floor = _floor(row[kind], name) if kind in row else None
            if floor is not None:
                return _scaled(floor.value, kind)
    return _NONE


def _scaled(value: float, metric: str) -> str:
    return _number(1000 * value if metric in _TIMES_1000 else value)


def _rows(scores: Iterable[Score]) -> list[dict[str, Score]]:
    """The scores of each set of samples, by metric."""
    rows: list[dict[str, Score]] = []
    for score in scores:
        if not rows or score.metric in rows[-1] or _set_of(score) != _set_of(*rows[-1].values()):
            rows.append({})
        rows[-1][score.metric] = score
    return rows


def _steps(score: Score) -> str:
    """The number of steps, and of network evaluations where that is another."""
    note = evaluations_note(score.steps, score.evaluations)
    return f"{score.steps or _NONE}{note}"


def _set_of(score: Score, *_others: Score) -> tuple[str, int, int]:
    """Which set of samples scores are about."""
    return (score.sampler, score.steps, score.images)


def _title(scores: list[Score]) -> str:
    if not scores:
        return "no scores"
    features = sorted({score.features for score in scores})
    known = sorted({_published(score) for score in scores} - {""})
    images = scores[0].reference_images
    also = f"; FD is {' and '.join(known)}" if known else ""
    return f"against {images:,} training images, features: {', '.join(features)}{also}"


def _published(score: Score) -> str:
    """What others call a Fréchet distance that keeps to their protocol; empty for any other."""
    named_otherwise = score.metric == "fd" and not score.name.startswith("fd-")
    return score.name.upper() if named_otherwise else ""


def _warnings(scores: list[Score]) -> list[str]:
    warnings = dict.fromkeys(warning for score in scores for warning in score.warnings)
    return [f"mind: {warning}" for warning in warnings]


def _held_out_count(scores: list[Score]) -> str:
    """How many images the held-out floors of FD are taken over; usually one number."""
    floors = [_floor(score, "held-out") for score in scores if score.metric == "fd"]
    counts = sorted({floor.images for floor in floors if floor is not None})
    return " or ".join(str(count) for count in counts) or "as many"


def _floor(score: Score, name: str) -> Floor | None:
    return next((floor for floor in score.floors if floor.name == name), None)


def _number(value: float) -> str:
    """About three digits; what is 0 but for rounding is shown as 0."""
    decimals = sum(abs(value) < limit for limit in (100, 10, 1))
    return f"{round(value, decimals) or 0.0:,.{decimals}f}"


def _frechet(score: Score | None) -> tuple[str, str, str]:
    """FD; that of a resample at the same count; held-out's beside as many generated images'."""
    if score is None:
        return (_NONE, _NONE, _NONE)
    resample, held_out = _floor(score, "resample"), _floor(score, "held-out")
    beside = _NONE
    if held_out is not None and held_out.generated_value is not None:
        beside = f"{_number(held_out.value)}/{_number(held_out.generated_value)}"
    return (_with_deviation(score), _NONE if resample is None else _number(resample.value), beside)


def _nearest(score: Score | None) -> tuple[str, str]:
    """Median distance beside held-out images'; share of images that are close."""
    if score is None:
        return (_NONE, _NONE)
    held_out, share = score.details.get("held_out_median"), score.details.get("close_share")
    beside = _number(score.value)
    if held_out is not None:
        beside = f"{beside}/{_number(held_out)}"
    return (beside, _NONE if share is None else f"{share:.1%}")
