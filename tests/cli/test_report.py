"""`dddm report`, through the real command line's group."""

import json
import os
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from dddm.cli.main import dddm
from dddm.errors import UsageError
from dddm.interfaces.plugin import NoOptions
from dddm.recipe.read import read_recipe
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue
from dddm.run.folder import RunFolder
from dddm.run.sample_files import Samples, write_samples
from dddm_datasets.digits import Digits


def make_run(path: Path, *, written: int) -> RunFolder:
    """A run of the digits recipe with samples that are real digits.

    Args:
        written: when, in seconds since 1970.
    """
    folder = RunFolder(path)
    folder.samples.mkdir(parents=True)
    recipe = read_recipe("digits", catalogue=load_catalogue())
    folder.recipe.write_text(to_toml(recipe), encoding="utf-8")
    folder.note_about(name="digits")
    os.utime(folder.about, (written, written))
    split = Digits(NoOptions()).splits()["held-out"]
    index = torch.arange(20)
    facts = {"sampler": "fixed-time", "steps": 10, "images": 20, "seed": 0}
    samples = Samples(images=split.images(index), label=None, facts=facts)
    write_samples(folder.samples / "fixed-time-10", samples, columns=10)
    return folder


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, RunFolder]:
    """An older and a newer run under `runs`, beside which the command is called."""
    monkeypatch.chdir(tmp_path)
    older = make_run(Path("runs") / "older", written=1_000_000_000)
    newer = make_run(Path("runs") / "newer", written=1_100_000_000)
    return older, newer


def test_the_newest_run_gets_its_page(two_runs: tuple[RunFolder, RunFolder]) -> None:
    """Without a run's name the newest one is taken, and stdout holds the page's path alone."""
    older, newer = two_runs
    done = CliRunner().invoke(dddm, ["report"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout == f"{newer.report}\n"
    assert newer.report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not older.report.exists()


def test_a_named_run_gets_its_page_as_json(two_runs: tuple[RunFolder, RunFolder]) -> None:
    """A run that is named is taken, and --json prints an object with the page's path."""
    older, newer = two_runs
    done = CliRunner().invoke(dddm, ["report", str(older.path), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout) == {"report": str(older.report)}
    assert older.report.exists()
    assert not newer.report.exists()


def test_a_page_is_written_anew(two_runs: tuple[RunFolder, RunFolder]) -> None:
    """A second call replaces the page by one that shows what the folder holds by then."""
    _, newer = two_runs
    CliRunner().invoke(dddm, ["report"], catch_exceptions=False)
    before = newer.report.read_text(encoding="utf-8")
    (newer.samples / "fixed-time-10").rename(newer.path / "elsewhere")
    CliRunner().invoke(dddm, ["report"], catch_exceptions=False)
    after = newer.report.read_text(encoding="utf-8")
    assert "data:image/png" in before
    assert "data:image/png" not in after


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    """A folder that holds no run is a usage error, and nothing is written there."""
    with pytest.raises(UsageError, match="is no run folder"):
        CliRunner().invoke(dddm, ["report", str(tmp_path)], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []
