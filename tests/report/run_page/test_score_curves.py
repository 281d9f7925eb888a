"""Curves from the rows of tables."""

import attrs
from measures import FD
from report_runs import make_scores

from dddm.evaluate.over_seeds import DEVIATION
from dddm.report.run_page.paper_comparison import Beside
from dddm.report.run_page.score_curves import curves_of
from dddm.report.run_page.score_rows import tables_of


def test_curves_hold_one_line_a_sampler() -> None:
    """Fréchet distances alone are drawn, and a name at one step count has no chart."""
    scores = make_scores()
    (curves,) = curves_of(tables_of(scores), FD)
    assert curves.name == "fd-digits-classifier@120"
    assert curves.samplers == ("fixed-time", "annealed")
    assert curves.floor
    assert curves_of(tables_of(scores[:2]), FD) == ()


def test_two_charts_have_two_names() -> None:
    """Scores at two image counts give charts whose ids differ."""
    scores = make_scores()
    fewer = [attrs.evolve(score, name=f"{score.name}-fewer") for score in scores]
    one, other = curves_of(tables_of([*scores, *fewer]), FD)
    assert 'id="score-1-' in one.svg
    assert 'id="score-2-' in other.svg


def test_what_a_chart_shows_is_told() -> None:
    """Deviations where a score has one; the paper's points where they can be compared."""
    scores = [score for score in make_scores() if score.measure.name == "fd"]
    (plain,) = curves_of(tables_of(scores), FD)
    assert not plain.deviations
    assert not plain.paper
    scores[0] = attrs.evolve(scores[0], details={DEVIATION: 1.5})
    printed = {("fixed-time", 1): 2.9}
    for comparable in (True, False):
        beside = Beside(values=printed, comparable=comparable, sentences=())
        (curves,) = curves_of(tables_of(scores), FD, {scores[0].name: beside})
        assert curves.deviations
        assert curves.paper == comparable
