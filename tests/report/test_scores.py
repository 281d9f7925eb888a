"""Scores as tables and curves, beside what a paper reports."""

import json
import math
from pathlib import Path
from typing import Any

import attrs
import pytest
from report_runs import make_recipe, make_scores

from dddm.evaluate.record import DEVIATION, ScoreRecord, scores_to_text
from dddm.recipe.model import ReportedResult
from dddm.report.scores import (
    PaperComparison,
    ScoreSection,
    ScoreTable,
    best_first,
    compare_with_paper,
    gather_scores,
    load_scores,
    score_curve,
    tables_of,
)
from dddm_scores import DIVERSITY

REPORTED = ReportedResult(
    source="table 1",
    score="fd",
    sampler="fixed-time",
    features="digits-classifier",
    images=120,
    steps=(1, 1000),
    values=(2.9, 1.87),
)
NAME = "fd-digits-classifier@120"


def scores(**changes: Any) -> list[ScoreRecord]:
    """Fréchet distances at 1 and 10 steps, in the features of the digits' classifier."""
    return [attrs.evolve(one, **changes) for one in make_scores() if one.measure.name == "fd"]


def section(folder: Path, records: list[ScoreRecord]) -> ScoreSection:
    path = folder / "scores.json"
    path.write_text(scores_to_text(records), encoding="utf-8")
    return gather_scores(make_recipe(), path=path)


def test_diversity_stands_among_the_scores_and_checks_apart(tmp_path: Path) -> None:
    """It has no better value, but is not about copies."""
    diversity = attrs.evolve(
        scores()[0],
        measure=DIVERSITY.measures[0],
        name="diversity-digits-classifier@120",
        value=0.3,
    )
    found = section(tmp_path, [*make_scores(), diversity])
    assert [table.measure.name for table in found.tables] == ["fd", "diversity"]
    assert [table.measure.name for table in found.checks] == ["nearest"]
    assert any("differ less than half as much" in verdict for verdict in found.verdicts)


def test_each_name_has_a_table_of_its_own() -> None:
    """Two measures, or one at two image counts, never share a table."""
    records = make_scores()
    other = attrs.evolve(records[0], name="fd-digits-classifier@60", images=60)
    tables = tables_of([*records, other])
    assert [(table.name, len(table.scores)) for table in tables] == [
        (NAME, 3),
        ("nearest-digits-classifier@120", 3),
        ("fd-digits-classifier@60", 1),
    ]
    assert (tables[0].best, tables[2].best) == (0.6543219, None)
    assert tables[0].described_features == "digits-classifier (trained on digits)"


def test_a_floor_that_one_score_lacks_leaves_a_gap() -> None:
    records = scores()
    records[0] = attrs.evolve(records[0], floors=records[0].floors[1:])
    (table,) = tables_of(records)
    assert set(table.floor_names) == {"resample", "held-out"}
    assert table.scores[0].floor("resample") is None
    assert table.scores[0].floor("held-out") == records[0].floors[0]
    assert table.has_generated("held-out")
    assert not table.has_generated("resample")


def test_a_warning_is_said_once(tmp_path: Path) -> None:
    warning = "training may have fitted what the score looks at"
    assert section(tmp_path, make_scores()).warnings == (warning,)
    odd = attrs.evolve(make_scores()[0], provenance={"warnings": "no list", "features": "no table"})
    found = section(tmp_path, [odd])
    assert found.warnings == ()
    assert found.tables[0].described_features == "digits-classifier"


def test_a_score_belongs_to_its_samples_only_if_it_is_the_only_one(tmp_path: Path) -> None:
    found = section(tmp_path, make_scores())
    score = found.score_of("fixed-time", 10)
    assert score is not None
    assert score.value == 5.4321987
    assert found.score_of("fixed-time", 3) is None
    doubled = attrs.evolve(found, tables=found.tables * 2)
    assert doubled.score_of("fixed-time", 10) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", "4"),
        ("value", True),
        ("value", math.nan),
        ("steps", 1.5),
        ("images", None),
        ("details", {"close_share": "much"}),
        ("floors", [{"name": "resample", "value": None, "images": 3}]),
        ("floors", [{"name": 3, "value": 0.5, "images": 3}]),
    ],
)
def test_scores_of_a_wrong_type_are_not_used(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "scores.json"
    text = scores_to_text(make_scores())
    path.write_text(text, encoding="utf-8")
    assert load_scores(path) == (tuple(make_scores()), "")
    values = json.loads(text)
    values[0][field] = value
    path.write_text(json.dumps(values), encoding="utf-8")
    found, problem = load_scores(path)
    assert found == ()
    assert problem.startswith("The scores cannot be read: '")
    assert problem.endswith("Measure them again with `dddm evaluate`.")


def compared(
    *reported: ReportedResult, records: list[ScoreRecord] | None = None
) -> PaperComparison:
    tables, _ = compare_with_paper(reported, tables_of(records or scores()))
    (found,) = (table.paper for table in tables if table.paper is not None)
    return found


def test_a_result_measured_alike_stands_beside_its_score() -> None:
    paper = compared(REPORTED)
    assert paper.comparable
    shown = {(one.sampler, one.steps): paper.shown(one) for one in scores()}
    assert shown == {("fixed-time", 1): "2.90", ("fixed-time", 10): "", ("annealed", 10): ""}
    (sentence,) = paper.sentences
    assert sentence.startswith("table 1: Fréchet distance 2.90 / 1.87 at 1 / 1,000 steps")
    assert "cannot be compared" not in sentence


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"features": "inception"}, "these scores are in the features of digits-classifier"),
        ({"images": 50_000}, "they are over 120 images"),
        ({"changed": ("train.epochs=2",)}, "this run was changed by --set train.epochs=2"),
    ],
)
def test_a_result_measured_otherwise_says_so_and_is_not_drawn(
    change: dict[str, Any], reason: str
) -> None:
    paper = compared(attrs.evolve(REPORTED, **change))
    assert not paper.comparable
    assert paper.sentences[0].endswith(f"It cannot be compared with this run: {reason}.")
    (table,) = tables_of(scores())
    curve = score_curve(attrs.evolve(table, paper=paper))
    assert curve is not None
    assert not curve.marks


def test_of_several_tables_the_comparable_one_is_chosen() -> None:
    other = scores(name="fd-inception@120", provenance={"features": {"id": "dddm:inception"}})
    result = attrs.evolve(REPORTED, features="inception")
    tables, _ = compare_with_paper([result], tables_of([*scores(), *other]))
    assert [table.name for table in tables if table.paper is not None] == ["fd-inception@120"]
    assert compared(result, records=other).comparable


def test_a_result_without_a_table_is_a_sentence() -> None:
    words = ReportedResult(source="figure 2", says="a < b")
    recall = attrs.evolve(REPORTED, score="recall")
    tables, unmeasured = compare_with_paper([recall, words], tables_of(scores()))
    assert all(table.paper is None for table in tables)
    assert unmeasured[0].startswith("table 1: recall 2.90 / 1.87")
    assert unmeasured[1] == "figure 2: a < b."


def test_a_result_of_another_method_stands_beside_no_score() -> None:
    """It has no sampler, and is only quoted, whatever else is alike."""
    other = attrs.evolve(REPORTED, source="table 1, CD", sampler=None)
    tables, unmeasured = compare_with_paper([REPORTED, other], tables_of(scores()))
    (paper,) = (table.paper for table in tables if table.paper is not None)
    assert paper.values == {("fixed-time", 1): 2.9, ("fixed-time", 1000): 1.87}
    assert len(paper.sentences) == 1
    (sentence,) = unmeasured
    assert sentence.startswith("table 1, CD: Fréchet distance 2.90 / 1.87 at 1 / 1,000 evaluations")


def test_curves_hold_one_line_a_sampler(tmp_path: Path) -> None:
    """Of the leading measure; a name at one step count has no curve."""
    (curve,) = section(tmp_path, make_scores()).curves
    assert curve.names == ("fixed-time", "annealed")
    assert curve.floor == "resample of the training images"
    assert not curve.marks
    assert "One seed" in curve.caption
    assert section(tmp_path, make_scores()[:2]).curves == ()


def test_a_curve_shows_deviations_and_what_the_paper_reports() -> None:
    records = scores()
    records[0] = attrs.evolve(records[0], details={DEVIATION: 1.5})
    (table,) = compare_with_paper([REPORTED], tables_of(records))[0]
    assert isinstance(table, ScoreTable)
    curve = score_curve(table)
    assert curve is not None
    assert "standard deviation" in curve.caption
    assert curve.marks == "the paper"
    assert 'class="error' in curve.svg


def test_samplers_are_in_the_order_of_their_best_scores() -> None:
    """Of the leading measure in its features; without one they stay in their order, at the end."""
    (one,) = [s for s in make_scores() if s.sampler == "annealed" and s.measure.name == "fd"]
    fd = {("a", 1): 9.0, ("b", 1): 5.0, ("a", 2): 4.0, ("c", 1): 3.0}
    four = [
        attrs.evolve(one, sampler=name, steps=k, value=value) for (name, k), value in fd.items()
    ]
    other = attrs.evolve(
        one, sampler="d", measure=attrs.evolve(one.measure, name="nearest", better="neither")
    )
    assert best_first([other, *four]) == ("c", "a", "b", "d")
    more = [attrs.evolve(score, measure=attrs.evolve(one.measure, better="more")) for score in four]
    assert best_first(more) == ("a", "b", "c")
    assert best_first([other]) == ("d",)
    assert best_first([]) == ()
