"""Entries of a sweep side by side: by network evaluations, best first, with samples."""

import re
from pathlib import Path

import attrs
import pytest
import torch
from sample_folders import write_samples
from sweep_folders import finish, make_sweep

from dddm.evaluate.record import scores_to_text
from dddm.generate.storage import Samples
from dddm.interfaces.measurement import Baseline
from dddm.report.charts import Line, line_chart
from dddm.report.scores import load_scores
from dddm.report.side_by_side import evaluation_charts, evaluation_tables, strips
from dddm.report.sweep_page import sweep_page
from dddm.report.sweep_results import SweepTable, gather_sweep

SCORES = {"far": {1: 9.0, 2: 1.0}, "slow_1": {1: 3.0, 2: 4.0}, "last": {1: 5.0, 3: 2.0}}


def table(folder: Path, scores: dict[str, dict[int, float]] = SCORES) -> SweepTable:
    sweep = make_sweep(folder)
    for entry in sweep.entries:
        if entry.name in scores:
            finish(entry, folder / "run", fd=scores[entry.name])
    return gather_sweep(sweep, folder=folder / "run")


def test_rows_are_in_the_order_of_their_first_score(tmp_path: Path) -> None:
    """With the best of each column, where two entries have one."""
    (found,) = evaluation_tables(table(tmp_path))
    assert found.name == "fd-pixels@8"
    assert found.evaluations == (1, 2, 3)
    values = {
        entry: [None if score is None else score.value for score in scores]
        for entry, _, scores in found.rows
    }
    assert list(values.items()) == [
        ("slow_1", [3.0, 4.0, None]), ("last", [5.0, None, 2.0]), ("far", [9.0, 1.0, None])
    ]  # fmt: skip
    assert found.best == (3.0, 1.0, None)


def test_each_entry_is_a_line(tmp_path: Path) -> None:
    (chart,) = evaluation_charts(table(tmp_path))
    assert chart.names == ("far", "slow_1", "last")
    assert chart.floor == "a resample of the training images 0.500"


def test_what_needs_no_network_is_a_dashed_line(tmp_path: Path) -> None:
    table(tmp_path)
    gaussian = Baseline(name="class-gaussian", words="a Gaussian", value=6.0, images=8)
    for path in (tmp_path / "run").glob("*/scores.json"):
        scores, _ = load_scores(path)
        path.write_text(scores_to_text([attrs.evolve(s, baselines=(gaussian,)) for s in scores]))
    (chart,) = evaluation_charts(gather_sweep(make_sweep(tmp_path), folder=tmp_path / "run"))
    assert chart.floor == "a resample of the training images 0.500; a Gaussian 6.00"
    assert chart.svg.count('class="floor"') == 2


def test_more_lines_than_colours_are_dotted(tmp_path: Path) -> None:
    (chart,) = evaluation_charts(table(tmp_path))
    assert "dotted" not in chart.svg
    lines = [Line(name=str(k), points=[(1, k + 1.0)], colour=1, dotted=k > 0) for k in range(2)]
    drawn = line_chart(lines, title="", x_label="", description="", fewest_points=1)
    assert drawn is not None
    assert drawn.svg.count("dotted") == 1


@pytest.mark.parametrize(
    "scores", [{}, {"far": {1: 9.0, 2: 1.0}}, {"far": {1: 9.0}, "last": {1: 2.0}}]
)
def test_nothing_is_drawn_that_compares_nothing(
    tmp_path: Path, scores: dict[str, dict[int, float]]
) -> None:
    assert evaluation_charts(table(tmp_path, scores)) == []


def test_strips_show_the_first_and_the_best_samples(tmp_path: Path) -> None:
    """Best entry first, by its fewest evaluations; of one whose best is its first, only that."""
    found = table(tmp_path)
    for row in found.rows:
        for steps in (1, 2, 3):
            images = torch.full((30, 1, 4, 4), 10 * steps, dtype=torch.uint8)
            facts = {"sampler": "steps", "steps": steps, "images": 30, "evaluations": steps}
            place = row.runs[0].folder.samples / f"steps-{steps}"
            (place / "manifest.json").unlink()
            place.rmdir()
            write_samples(place, Samples(images=images, label=None, facts=facts))
    made = strips(found)
    assert [(one.name, re.findall(r"(\d) steps?", one.caption)[0]) for one in made] == [
        ("slow_1", "1"), ("last", "1"), ("last", "3"), ("far", "1"), ("far", "2")
    ]  # fmt: skip
    for one in made:
        steps = int(re.findall(r"(\d) steps?", one.caption)[0])
        assert one.picture.getpixel((one.picture.width // 2 + 2, one.picture.height // 2)) in {
            10 * steps, 128
        }  # fmt: skip
    page = sweep_page(found)
    assert page.count('<figure class="samples">') == 5
    assert "img-src data:" in page


def test_samples_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    assert strips(table(tmp_path)) == []
