"""Entries in the order of their scores, beside what the paper claims."""

from pathlib import Path

from attrs import evolve
from measures import measure_of
from sweep_folders import finish, make_sweep

from dddm.recipe.model import ReportedResult
from dddm.report.sweep_page.columns import SweepTable, table_of
from dddm.report.sweep_page.markdown import comparison, to_markdown
from dddm.report.sweep_page.order import rankings_of
from dddm.report.sweep_page.results import gather_results

CLAIM = (ReportedResult(source="figure 2a", says="slow < far"),)


def table(folder: Path, *, deviation: float | None) -> SweepTable:
    """Three entries with scores of 9, 8 and 8.5 at one step."""
    folder.mkdir(exist_ok=True)
    sweep = make_sweep(folder)
    for entry, value in zip(sweep.entries, (9.0, 8.0, 8.5), strict=True):
        finish(entry, folder / "run", fd={1: value, 2: 1.0}, deviation=deviation)
    results = gather_results(sweep, folder=folder / "run", failures={})
    return table_of("toy", results, paper=CLAIM)


def test_the_best_is_first_and_one_seed_says_so(tmp_path: Path) -> None:
    """At the smallest step count alone; the paper's claim stands before it, in the table too."""
    found = table(tmp_path, deviation=None)
    (ranking,) = rankings_of(found)
    assert ranking.where == "fd-pixels@8, steps, 1 step"
    assert ranking.order == "slow_1 8.00 < last 8.50 < far 9.00"
    claim, here = comparison(found)
    assert claim == "The paper, figure 2a: slow < far."
    assert here.endswith("far 9.00; one seed, so near ones are not told apart.")
    assert claim in to_markdown(found)


def test_what_lies_within_the_deviation_is_not_ordered(tmp_path: Path) -> None:
    """0.5 apart with deviations of 0.4 each is as good as equal; with 0.3 each it is not."""
    wide = table(tmp_path / "wide", deviation=0.4)
    assert rankings_of(wide)[0].order == "slow_1 8.00 ≈ last 8.50 ≈ far 9.00"
    narrow = table(tmp_path / "narrow", deviation=0.3)
    assert rankings_of(narrow)[0].order == "slow_1 8.00 < last 8.50 < far 9.00"
    assert "**8.00** ± 0.30" in to_markdown(narrow)
    assert "±: standard deviation" in to_markdown(narrow)


def test_where_more_is_better_the_most_stands_first(tmp_path: Path) -> None:
    """By the leading measure, whatever score it is of."""
    found = table(tmp_path, deviation=None)
    recall = measure_of("recall", "more")
    columns = tuple(
        evolve(
            column,
            measure=recall if column.measure.name == "fd" else column.measure,
            best=recall.best(value for value in column.values if value is not None),
        )
        for column in found.columns
    )
    (ranking,) = rankings_of(evolve(found, columns=columns, leading=recall))
    assert ranking.order == "far 9.00 > last 8.50 > slow_1 8.00"


def test_without_scores_there_is_no_order(tmp_path: Path) -> None:
    """Nor where one entry alone has any."""
    sweep = make_sweep(tmp_path)
    finish(sweep.entries[0], tmp_path / "run", fd={1: 9.0})
    results = gather_results(sweep, folder=tmp_path / "run", failures={})
    assert rankings_of(table_of("toy", results)) == ()
