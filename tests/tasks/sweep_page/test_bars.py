"""Bars: a panel for each step count that entries can be compared at."""

import re
from pathlib import Path

from sweep_folders import finish, make_sweep

from dddm.tasks.sweep_page.bars import Bars, bars_of
from dddm.tasks.sweep_page.columns import table_of
from dddm.tasks.sweep_page.results import gather_results


def charts(folder: Path) -> tuple[Bars, ...]:
    results = gather_results(make_sweep(folder), folder=folder / "run", failures={})
    return bars_of(table_of("toy", results))


def test_a_chart_with_a_panel_for_each_step_count(tmp_path: Path) -> None:
    """Entries' names and numbers stand in it, the least in another colour, the floor dashed."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 2: 0.0, 3: 4.0})
    finish(slow, tmp_path / "run", fd={1: 8.0, 2: 0.0})
    (chart,) = charts(tmp_path)
    assert (chart.score_name, chart.sampler, chart.floor) == ("fd-pixels@8", "steps", True)
    words = re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg)
    assert [word for word in words if "step" in word] == ["1 step", "2 steps"]
    assert {"far", "slow_1", "last", "9.00", "8.00"} <= set(words)
    assert "var(--series-1)" in chart.svg
    assert "var(--series-2)" in chart.svg
    assert "#0" not in chart.svg


def test_nothing_is_drawn_that_cannot_be_compared(tmp_path: Path) -> None:
    """Without scores, or with one entry's alone, there is no chart."""
    assert charts(tmp_path) == ()
    finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0})
    assert charts(tmp_path) == ()


def test_many_step_counts_are_several_charts(tmp_path: Path) -> None:
    """Four panels in a row at most, every name of a chart once in the page."""
    for entry in make_sweep(tmp_path).entries:
        finish(entry, tmp_path / "run", fd={steps: 10.0 / steps for steps in range(1, 7)})
    found = charts(tmp_path)
    assert [
        chart.svg.count(" step</text>") + chart.svg.count(" steps</text>") for chart in found
    ] == [4, 2]
    names = [set(re.findall(r'\bid="([^"]*)"', chart.svg)) for chart in found]
    assert not names[0] & names[1]
