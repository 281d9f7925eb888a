"""The page of a sweep."""

import re
from html.parser import HTMLParser
from pathlib import Path

from attrs import evolve
from sweep_folders import finish, make_sweep

from dddm.report.sweep_page.columns import table_of
from dddm.report.sweep_page.page import changes_of, render
from dddm.report.sweep_page.results import gather_results


def page(folder: Path, **failures: str) -> str:
    results = gather_results(make_sweep(folder), folder=folder / "run", failures=failures)
    return render(table_of("toy", results))


def test_it_has_the_table_bars_and_ways_to_the_reports(tmp_path: Path) -> None:
    """Links lead to entries' reports that are there, and nowhere else; nothing is fetched."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 2: 5.0})
    finish(slow, tmp_path / "run", fd={1: 8.0, 2: 6.0})
    text = page(tmp_path)
    assert re.findall(r'href="([^"#]+)"', text) == ["far/report.html", "slow_1/report.html"]
    assert text.count('<td class="best">') == 2
    assert text.count("<svg") == 2
    assert "metric.use=&#34;far&#34;" in text
    assert "sample.0.steps=[1, 2]" in text
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    HTMLParser().feed(text)


def test_what_comes_from_files_is_escaped(tmp_path: Path) -> None:
    """A message with markup is shown as it is written."""
    text = page(tmp_path, far="<script>alert(1)</script>")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_changes_are_lines_as_set_takes_them(tmp_path: Path) -> None:
    """Tables are dotted, arrays of tables counted; an entry may change nothing."""
    sweep = make_sweep(tmp_path)
    results = gather_results(sweep, folder=tmp_path / "run", failures={})
    assert changes_of(results[1]) == (
        "seed=4",
        'sample.0.use="steps"',
        "sample.0.size=7",
        "sample.0.steps=[1, 2]",
        "sample.0.images=8",
    )
    nothing = evolve(results[0], entry=evolve(results[0].entry, changes={"metric": {}}))
    assert changes_of(nothing) == ()
