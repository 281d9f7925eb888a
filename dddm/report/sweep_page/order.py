"""Entries in the order of a score: `a 3.20 < b 4.10 ≈ c 4.30`."""

import itertools
import math
from typing import final

from attrs import frozen

from dddm.report.run_page.wording import number
from dddm.report.sweep_page.columns import Column, SweepTable


@final
@frozen(kw_only=True)
class Ranking:
    """Entries by their score at a sampler's fewest network evaluations.

    Attributes:
        where: score, sampler and step count.
        order: entries with their scores, the best first; `≈` between two that lie within one
            standard deviation of their difference over seeds.
        over_seeds: whether there are deviations to tell that by.
    """

    where: str
    order: str
    over_seeds: bool


def rankings_of(table: SweepTable) -> tuple[Ranking, ...]:
    """One for each leading score and sampler that two entries or more have."""
    first: dict[tuple[str, str], Column] = {}
    for column in sorted(table.columns, key=lambda each: each.evaluations):
        if column.measure == table.leading and column.best is not None:
            first.setdefault((column.score_name, column.sampler), column)
    return tuple(_ranking(table, column) for column in first.values())


def _ranking(table: SweepTable, column: Column) -> Ranking:
    found = [
        (value, column.deviations[k], row.name)
        for k, (row, value) in enumerate(zip(table.rows, column.values, strict=True))
        if value is not None
    ]
    more = column.measure.better == "more"
    found.sort(key=lambda each: each[0], reverse=more)
    words = [f"{found[0][2]} {number(found[0][0])}"]
    for (before, spread, _), (value, other, name) in itertools.pairwise(found):
        alike = (
            spread is not None
            and other is not None
            and abs(value - before) <= math.hypot(spread, other)
        )
        words.append(f"{'≈' if alike else '>' if more else '<'} {name} {number(value)}")
    return Ranking(
        where=f"{column.score_name}, {column.sampler}, {column.counted_steps}",
        order=" ".join(words),
        over_seeds=any(deviation is not None for deviation in column.deviations),
    )
