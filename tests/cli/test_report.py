"""`dddm report` through the real command line."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest
from report_runs import Page, begin_run, finished_run, make_recipe

from dddm.cli.main import main


class Ended(NamedTuple):
    """How a command ended."""

    code: object
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Ended:
    """Call `dddm report`."""
    with pytest.raises(SystemExit) as caught:
        main(["report", *words])
    return Ended(caught.value.code, *capsys.readouterr())


def test_it_writes_the_page_and_prints_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One path on stdout, and the page is there."""
    _, folder = finished_run(tmp_path / "run")
    assert call(capsys, str(folder.path)) == (0, f"{folder.report}\n", "")
    assert "digits" in Page(folder.report.read_text(encoding="utf-8")).words()


def test_json_holds_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For other programs: an object with the path alone."""
    folder = begin_run(tmp_path / "run", make_recipe())
    ended = call(capsys, str(folder.path), "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {"report": str(folder.report)}


def test_without_a_run_it_is_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under ./runs, the run that was written to last."""
    monkeypatch.chdir(tmp_path)
    for written, name in enumerate(("newer", "older")):
        folder = begin_run(Path("runs") / name, make_recipe())
        os.utime(folder.about, (1_100_000_000 - written, 1_100_000_000 - written))
    assert call(capsys) == (0, f"{Path('runs') / 'newer' / 'report.html'}\n", "")
    assert not (Path("runs") / "older" / "report.html").exists()


def test_without_any_run_it_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder is a matter of usage: code 2, the place, the remedy, no traceback."""
    monkeypatch.chdir(tmp_path)
    ended = call(capsys)
    assert (ended.code, ended.out) == (2, "")
    assert "there is no run yet" in ended.err
    assert "dddm run digits" in ended.err
    assert "Traceback" not in ended.err


def test_a_folder_that_is_no_run_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a matter of usage too, and nothing is written there."""
    ended = call(capsys, str(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    assert "is not a run folder" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second call replaces the page by one that shows what the folder holds by then."""
    _, folder = finished_run(tmp_path / "run")
    call(capsys, str(folder.path))
    before = folder.report.read_text(encoding="utf-8")
    folder.samples.rename(folder.path / "elsewhere")
    call(capsys, str(folder.path))
    after = folder.report.read_text(encoding="utf-8")
    assert "Samples of fixed-time" in before
    assert "Samples of fixed-time" not in after


def test_a_browser_that_cannot_be_opened_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine without one, --open says so on stderr; path and exit code stay."""
    folder = begin_run(tmp_path / "run", make_recipe())
    monkeypatch.setenv("PATH", "")
    ended = call(capsys, str(folder.path), "--open")
    assert (ended.code, ended.out) == (0, f"{folder.report}\n")
    assert "no browser could be opened" in ended.err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Help gives examples, and needs no run."""
    ended = call(capsys, "--help")
    assert ended.code == 0
    assert "dddm report runs/digits --open" in ended.out
