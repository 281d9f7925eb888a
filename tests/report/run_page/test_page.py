"""What the page says where the recipe itself asks for nothing."""

import shlex
from pathlib import Path

import attrs
import pytest
from report_runs import Page as Read
from report_runs import begin_run, finished_run, make_recipe

from dddm.report.run_page.page import gather, render
from dddm.train.run_folder import RunFolder


def test_a_recipe_without_samples_scores_or_grids_says_so(tmp_path: Path) -> None:
    """What was never asked for is not called missing."""
    recipe = make_recipe()
    train = attrs.evolve(recipe.train, sample_every_epochs=None)
    recipe = attrs.evolve(recipe, sample=(), evaluate=None, train=train)
    page = Read(render(gather(recipe, folder=begin_run(tmp_path, recipe), real=None)))
    assert "The recipe asks for no samples" in page.words("samples")
    assert "it has no table [evaluate]" in page.words("scores")
    assert "asks for no grids during training" in page.words("progress")


def test_the_command_is_one_that_a_shell_reads(tmp_path: Path) -> None:
    """Spaces and quotes in a folder's name stay within one word."""
    path = tmp_path / "it's a run; rm"
    recipe = make_recipe()
    begin_run(path, recipe)
    words = shlex.split(gather(recipe, folder=RunFolder(path), real=None).command)
    assert words == ["dddm", "run", str(path / "recipe.toml"), "--folder", f"{path}-again"]


def test_a_score_stands_under_its_samples_only_if_it_is_theirs_alone(tmp_path: Path) -> None:
    """Two sets of one sampler and step count cannot be told apart by it, so neither has a score."""
    recipe, folder = finished_run(tmp_path / "run")
    scores = gather(recipe, folder=folder, real=None).scores
    found = scores.score_of("fixed-time", 10)
    assert found is not None
    assert found.value == 5.4321987
    assert scores.score_of("fixed-time", 3) is None
    doubled = attrs.evolve(scores, tables=scores.tables * 2)
    assert doubled.score_of("fixed-time", 10) is None


def test_a_run_in_the_current_folder_has_a_command_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder given as `.` has no name to make another of, so its full path is used."""
    monkeypatch.chdir(tmp_path)
    recipe = make_recipe()
    folder = begin_run(Path(), recipe)
    command = gather(recipe, folder=folder, real=None).command
    assert command == f"dddm run recipe.toml --folder {tmp_path}-again"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("events.jsonl", "events.jsonl cannot be read"),
        ("run.json", "run.json cannot be read"),
        ("scores.json", "The scores cannot be read"),
        ("samples/fixed-time-10/manifest.json", "The samples fixed-time-10 cannot be read"),
        ("recipe.toml", "The run folder holds no recipe.toml"),
    ],
)
def test_a_file_that_the_system_does_not_give_is_told(tmp_path: Path, name: str, said: str) -> None:
    """A folder in a file's place stands for all refusals of the system: a sentence, no error."""
    recipe, folder = finished_run(tmp_path)
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    assert said in render(gather(recipe, folder=folder, real=None))
