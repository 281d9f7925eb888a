"""Scores as rows, curves and warnings."""

from pathlib import Path
from typing import Any

import attrs
import pytest
from report_runs import make_scores

from dddm.errors import DataError
from dddm.interfaces.measurement import Floor
from dddm.report.run_page.score_rows import refuse_unusable, tables_of, warnings_of


def test_each_name_has_a_table_of_its_own() -> None:
    """Two measures, or one at two image counts, never share a table."""
    scores = make_scores()
    other = attrs.evolve(scores[0], name="fd-digits-classifier@60", images=60)
    tables = tables_of([*scores, other])
    assert [(table.name, len(table.rows)) for table in tables] == [
        ("fd-digits-classifier@120", 3),
        ("nearest-digits-classifier@120", 3),
        ("fd-digits-classifier@60", 1),
    ]
    assert tables[0].best == 0.6543219
    assert (tables[0].features, tables[0].trained_on) == ("digits-classifier", "digits")


def test_a_floor_that_one_score_lacks_leaves_a_gap() -> None:
    """Columns are the floors of all scores; where one has none there is None, not another's."""
    scores = [score for score in make_scores() if score.measure.name == "fd"]
    scores[0] = attrs.evolve(scores[0], floors=scores[0].floors[1:])
    (table,) = tables_of(scores)
    assert set(table.floor_names) == {"resample", "held-out"}
    gaps = dict(zip(table.floor_names, table.rows[0].floors, strict=True))
    assert gaps["resample"] is None
    assert gaps["held-out"] == scores[0].floors[0]
    assert table.has_generated("held-out")
    assert not table.has_generated("resample")


def test_a_warning_is_said_once() -> None:
    """Six scores with the same warning give one sentence; other types give none."""
    scores = make_scores()
    assert warnings_of(scores) == ("training may have fitted what the score looks at",)
    odd = attrs.evolve(scores[0], provenance={"warnings": "no list", "features": "no table"})
    assert warnings_of([odd]) == ()
    assert tables_of([odd])[0].trained_on is None


@pytest.mark.parametrize(
    "change",
    [
        {"value": "4"},
        {"value": float("nan")},
        {"value": True},
        {"steps": 1.5},
        {"images": None},
        {"details": {"close_share": "much"}},
        {"floors": (Floor(name="resample", value=None, images=3),)},  # type: ignore[arg-type]  # on purpose
        {"floors": (Floor(name=3, value=0.5, images=3),)},  # type: ignore[arg-type]  # on purpose
    ],
)
def test_scores_without_numbers_or_names_are_refused(change: dict[str, Any]) -> None:
    """The error names the score, its sampler, the file and the remedy."""
    refuse_unusable(make_scores(), path=Path("scores.json"))
    wrong = attrs.evolve(make_scores()[0], **change)
    with pytest.raises(DataError, match="'fd-digits-classifier@120' of 'fixed-time'") as caught:
        refuse_unusable([wrong], path=Path("scores.json"))
    assert caught.value.where == "scores.json"
    assert "dddm evaluate" in (caught.value.remedy or "")
