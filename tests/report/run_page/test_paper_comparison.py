"""The paper's figures beside scores, only where the two were measured alike called comparable."""

from typing import Any

import attrs
import pytest
from report_runs import make_scores

from dddm.evaluate.record import ScoreRecord
from dddm.recipe.model import ReportedResult
from dddm.report.run_page.paper_comparison import paper_comparison
from dddm.report.run_page.score_rows import tables_of

PRINTED = ReportedResult(
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


def test_what_was_measured_alike_stands_beside_its_score() -> None:
    """By sampler and step count; what the paper has beyond is in the sentence."""
    beside = paper_comparison([PRINTED], tables_of(scores())).tables[NAME]
    assert beside.comparable
    assert beside.shown("fixed-time", 1) == "2.90"
    assert beside.shown("fixed-time", 10) == beside.shown("annealed", 1) == ""
    assert beside.points == {1: 2.9, 1000: 1.87}
    (sentence,) = beside.sentences
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
def test_what_was_not_is_said_and_not_drawn(change: dict[str, Any], reason: str) -> None:
    """Other features, another count, another recipe: a reason each, and no point in the chart."""
    printed = attrs.evolve(PRINTED, **change)
    beside = paper_comparison([printed], tables_of(scores())).tables[NAME]
    assert not beside.comparable
    assert beside.points == {}
    assert beside.sentences[0].endswith(f"It cannot be compared with ours: {reason}.")


def test_of_several_tables_the_comparable_one_is_chosen() -> None:
    """Scores in two feature spaces: the figure stands beside the one that it is of."""
    other = scores(name="fd-inception@120", provenance={"features": {"id": "dddm:inception"}})
    tables = tables_of([*scores(), *other])
    found = paper_comparison([attrs.evolve(PRINTED, features="inception")], tables).tables
    assert list(found) == ["fd-inception@120"]
    assert found["fd-inception@120"].comparable


def test_without_a_table_it_is_a_sentence() -> None:
    """A score that was not measured, words alone, and nothing at all."""
    words = ReportedResult(source="figure 2", says="a < b")
    found = paper_comparison([attrs.evolve(PRINTED, score="recall"), words], tables_of(scores()))
    assert found.tables == {}
    assert found.elsewhere[0].startswith("table 1: recall 2.90 / 1.87")
    assert found.elsewhere[1] == "figure 2: a < b."
    assert paper_comparison([], tables_of(scores())).elsewhere == ()
