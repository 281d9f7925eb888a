"""Scores of entries become columns, and each column knows its best."""

from pathlib import Path

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from measures import FD
from sweep_folders import finish, make_sweep

from dddm.recipe.model import ReportedResult
from dddm.report.run_page.wording import number
from dddm.report.sweep_page.columns import Column, SweepTable, table_of
from dddm.report.sweep_page.markdown import to_markdown
from dddm.report.sweep_page.page import render
from dddm.report.sweep_page.results import gather_results


def table(folder: Path) -> SweepTable:
    sweep = make_sweep(folder)
    return table_of("toy", gather_results(sweep, folder=folder / "run", failures={}))


def test_a_column_for_each_score_at_each_step_count(tmp_path: Path) -> None:
    """Those of one measure stand together; an entry without a score has an empty place."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 2: 5.0, 3: 4.0})
    finish(slow, tmp_path / "run", fd={1: 8.0, 2: 6.0})
    columns = table(tmp_path).columns
    names = [f"{metric}@steps-{steps}" for metric in ("fd", "nearest") for steps in (1, 2, 3)]
    assert [column.name for column in columns] == names
    assert columns[0].values == (9.0, 8.0, None)
    assert columns[2].values == (4.0, None, None)
    assert [column.is_best(1) for column in columns[:2]] == [True, False]
    assert columns[0].floor == 0.5


def test_one_score_alone_is_no_best_and_nearest_has_none(tmp_path: Path) -> None:
    """There is nothing to be better than; and a small distance to training images is no merit."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 3: 4.0})
    finish(slow, tmp_path / "run", fd={1: 8.0})
    best = {column.name: column.best for column in table(tmp_path).columns}
    assert best == {
        "fd@steps-1": 8.0,
        "fd@steps-3": None,
        "nearest@steps-1": None,
        "nearest@steps-3": None,
    }


def test_scores_over_other_counts_are_never_compared(tmp_path: Path) -> None:
    """They have columns of their own, whose names say the count."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0})
    finish(slow, tmp_path / "run", fd={1: 8.0}, images=16)
    columns = [column for column in table(tmp_path).columns if column.title.startswith("fd")]
    assert [column.name for column in columns] == [
        "fd-pixels@8@steps-1", "fd-pixels@16@steps-1",
    ]  # fmt: skip
    assert all(column.best is None for column in columns)


def test_without_scores_there_is_a_row_for_each_entry(tmp_path: Path) -> None:
    """No columns, and a note for each entry."""
    empty = table(tmp_path)
    assert (len(empty.rows), empty.columns) == (3, ())
    assert empty.notes[0] == ("far", "Not begun.")


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=6))
def test_the_best_are_those_that_look_best(values: list[float]) -> None:
    """Whoever reads the same figures as the least sees them marked alike."""
    column = Column(measure=FD, title="fd", score_name="fd", sampler="s", steps=1, evaluations=1,
                    values=tuple(values), deviations=(None,) * len(values),
                    printed=("",) * len(values), best=min(values), floor=None)  # fmt: skip
    marked = [column.is_best(k) for k in range(len(values))]
    assert marked == [number(value) == number(min(values)) for value in values]
    assert marked[values.index(min(values))]


def test_the_paper_stands_beside_an_entry_that_was_measured_alike(tmp_path: Path) -> None:
    """By entry and step count, in the table and on the page; over other counts not at all."""
    sweep = make_sweep(tmp_path)
    for entry in sweep.entries:
        finish(entry, tmp_path / "run", fd={1: 9.0, 2: 5.0})
    far, *others = gather_results(sweep, folder=tmp_path / "run", failures={})
    for images, shown in ((8, ("2.86", "", "")), (50_000, ("", "", ""))):
        printed = ReportedResult(
            source="table 3",
            score="fd",
            sampler="steps",
            images=images,
            steps=(1,),
            values=(2.86,),
        )
        recipe = evolve(far.entry.recipe, reported=(printed,))
        row = evolve(far, entry=evolve(far.entry, recipe=recipe))
        found = table_of("toy", [row, *others])
        assert [column.printed for column in found.columns[:2]] == [shown, ("", "", "")]
        assert ("(paper 2.86)" in to_markdown(found)) == any(shown)
        assert ("paper 2.86" in render(found)) == any(shown)
