"""Bars: a panel for each step count that entries can be compared at."""

import re
from pathlib import Path

import pytest
from sweep_folders import finish, make_sweep

from dddm.report.sweep_page.bars import Bars, bars_of
from dddm.report.sweep_page.columns import table_of
from dddm.report.sweep_page.results import gather_results


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
    assert (chart.better, chart.deviations) == ("less", False)
    words = [re.findall(r"<text[^>]*>([^<]*)</text>", panel) for panel in chart.panels]
    assert [word for panel in words for word in panel if "step" in word] == ["1 step", "2 steps"]
    assert {"far", "slow_1", "last", "9.00", "8.00"} <= set(words[0])
    assert "var(--series-1)" in chart.panels[0]
    assert "var(--series-2)" in chart.panels[0]
    assert "#0" not in chart.panels[0]


def test_a_deviation_is_a_line_on_its_bar(tmp_path: Path) -> None:
    """Over seeds it is drawn in ink and reaches as far up as down; without, there is none."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0})
    finish(slow, tmp_path / "run", fd={1: 8.0}, deviation=2.0)
    (chart,) = charts(tmp_path)
    assert chart.deviations
    (panel,) = chart.panels
    paths = re.findall(r"<path[^>]*>", panel)
    inked = [path for path in paths if "stroke: var(--ink-soft)" in path and "clip-path" in path]
    low, high = map(float, re.findall(r"[ML] (\S+) ", inked[0]))
    nine, eight, _ = (
        max(map(float, re.findall(r"[ML] (\S+) ", path)))
        for path in paths
        if "fill: var(--series-" in path
    )
    assert (low + high) / 2 == pytest.approx(eight, abs=0.1)
    assert low < eight < nine < high


def test_nothing_is_drawn_that_cannot_be_compared(tmp_path: Path) -> None:
    """Without scores, or with one entry's alone, there is no chart."""
    assert charts(tmp_path) == ()
    finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0})
    assert charts(tmp_path) == ()


def test_many_step_counts_have_names_of_their_own(tmp_path: Path) -> None:
    """A panel for each of six step counts, every id once in the page."""
    for entry in make_sweep(tmp_path).entries:
        finish(entry, tmp_path / "run", fd={steps: 10.0 / steps for steps in range(1, 7)})
    (found,) = charts(tmp_path)
    assert len(found.panels) == 6
    ids = [one for panel in found.panels for one in re.findall(r'\bid="([^"]*)"', panel)]
    assert len(ids) == len(set(ids))
