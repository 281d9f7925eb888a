"""`dddm report`."""

import json
import os
from pathlib import Path

import pytest
from command_line import call, invoke, refused
from report_runs import begin_run, finished_run, make_recipe


def test_it_writes_the_page_and_prints_its_path(tmp_path: Path) -> None:
    """A second call shows what the run folder holds by then."""
    _, folder = finished_run(tmp_path / "run")
    assert invoke("report", folder.path, cwd=tmp_path) == f"{folder.report}\n"
    assert "Samples of fixed-time" in folder.report.read_text(encoding="utf-8")
    folder.samples.rename(folder.path / "elsewhere")
    printed = invoke("report", folder.path, "--json", cwd=tmp_path)
    assert json.loads(printed) == {"report": str(folder.report)}
    assert "Samples of fixed-time" not in folder.report.read_text(encoding="utf-8")


def test_without_a_run_it_is_the_newest(tmp_path: Path) -> None:
    """Of ./runs, the run whose run.json was written last."""
    for age, name in enumerate(("newer", "older")):
        folder = begin_run(tmp_path / "runs" / name, make_recipe())
        os.utime(folder.about, (1_100_000_000 - age, 1_100_000_000 - age))
    assert invoke("report", cwd=tmp_path) == "runs/newer/report.html\n"
    assert not (tmp_path / "runs/older/report.html").exists()


def test_where_there_is_no_run_nothing_is_written(tmp_path: Path) -> None:
    refused(call("report", cwd=tmp_path), "there is no run yet", "dddm run digits", code=2)
    refused(call("report", tmp_path, cwd=tmp_path), "is not a run folder", code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_cannot_be_opened_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin_run(tmp_path / "run", make_recipe())
    monkeypatch.setenv("PATH", "")
    done = call("report", folder.path, "--open", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{folder.report}\n")
    assert "no browser could be opened" in done.stderr
