"""The table in Markdown."""

from pathlib import Path

from sweep_folders import finish, make_sweep

from dddm.report.sweep_page.columns import table_of
from dddm.report.sweep_page.markdown import to_markdown
from dddm.report.sweep_page.results import gather_results


def text(folder: Path) -> str:
    results = gather_results(make_sweep(folder), folder=folder / "run", failures={"last": "No|."})
    return to_markdown(table_of("toy", results))


def test_the_least_is_bold_and_gaps_are_dashes(tmp_path: Path) -> None:
    """A row for each entry, every row as long as the heading, and what is not finished below."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 2: 5.0})
    finish(slow, tmp_path / "run", fd={1: 8.0, 2: 6.0})
    lines = text(tmp_path).splitlines()
    assert lines[0] == "# toy"
    assert lines[2].startswith("| entry | fd@steps-1 | fd@steps-2 | nearest@steps-1 |")
    assert lines[4] == "| far | 9.00 | **5.00** | 2.50 | 2.50 | 1 min 02 s | 361,234 |"
    assert lines[5].startswith("| slow_1 | **8.00** | 6.00 |")
    assert lines[6] == "| last | – | – | – | – | – | – |"
    assert {line.count("|") for line in lines[2:7]} == {lines[2].count("|")}
    assert "fd: Fréchet distance; less is better" in "\n".join(lines)
    assert lines[-1] == "- `last`: No|."


def test_without_scores_it_says_so(tmp_path: Path) -> None:
    """A sweep that has only begun has a table too."""
    assert "There are no scores yet." in text(tmp_path)
