"""The table of a sweep on the terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from sweep_folders import finish, make_sweep

from dddm.cli.sweep_table import rich_table, show_table
from dddm.report.sweep_results import SweepTable, gather_sweep


def table(folder: Path) -> SweepTable:
    sweep = make_sweep(folder)
    far, slow, _ = sweep.entries
    finish(far, folder / "run", fd={1: 9.0, 2: 5.0, 3: 1.0})
    finish(slow, folder / "run", fd={1: 8.0, 2: 6.0})
    return gather_sweep(sweep, folder=folder / "run")


def test_the_best_of_each_column_is_bold(tmp_path: Path) -> None:
    """The least of each Fréchet distance, and nothing else in the rows."""
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=True).print(rich_table(table(tmp_path)))
    rows = [line for line in out.getvalue().splitlines() if line.startswith((" far", " slow_1"))]
    bold = [re.findall(r"\x1b\[1m *([\d.]+)", row) for row in rows]
    assert bold == [["5.00"], ["8.00"]]


def test_nothing_is_cut_where_the_output_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets every column, however many; what is not finished stands below."""
    monkeypatch.setenv("COLUMNS", "40")
    show_table(table(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if line.startswith(" far"))
    assert row.split() == ["far", "9.00", "5.00", "1.00", "2.50", "2.50", "2.50",
                           "1", "min", "02", "s", "361,234"]  # fmt: skip
    assert lines[-1] == "last: Not started."


def test_a_narrow_terminal_shows_what_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns without a best one are left to the files."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    show_table(table(tmp_path))
    text = capsys.readouterr().out
    assert "2.50" not in text
    assert "9.00" in text
