"""`dddm check`."""

import json
from pathlib import Path

from click.testing import CliRunner
from toy_plugins import RECIPE, toy_catalogue

from dddm.cli.check import check
from dddm.errors import RecipeError


def test_a_right_recipe(tmp_path: Path) -> None:
    """One line on stdout, or its name and hash as JSON."""
    file = tmp_path / "toy.toml"
    file.write_text(RECIPE)
    state = {"catalogue": toy_catalogue()}
    done = CliRunner().invoke(check, [str(file)], obj=state)
    assert (done.exit_code, done.stdout) == (0, f"{file}: no errors\n")
    done = CliRunner().invoke(check, [str(file), "--json", "--set", "name=other"], obj=state)
    shown = json.loads(done.stdout)
    assert shown["name"] == "other"
    assert len(shown["sha256"]) == 64


def test_a_wrong_recipe(tmp_path: Path) -> None:
    """Its errors are raised to the one place that shows errors."""
    file = tmp_path / "toy.toml"
    file.write_text(RECIPE.replace("epochs", "epocs"))
    done = CliRunner().invoke(check, [str(file)], obj={"catalogue": toy_catalogue()})
    assert isinstance(done.exception, RecipeError)
    assert "did you mean epochs?" in str(done.exception)


def test_every_entry_of_a_sweep_is_checked(tmp_path: Path) -> None:
    """It names the entries, or gives their hashes; one wrong entry is an error of the recipe."""
    file = tmp_path / "toy.toml"
    file.write_text(RECIPE + '[[sweep]]\nname = "a"\nseed = 1\n[[sweep]]\nname = "b"\n')
    state = {"catalogue": toy_catalogue()}
    done = CliRunner().invoke(check, [str(file)], obj=state)
    assert done.stdout == f"{file}: no errors; a sweep of 2: a, b\n"
    done = CliRunner().invoke(check, [str(file), "--json"], obj=state)
    entries = json.loads(done.stdout)["entries"]
    assert list(entries) == ["a", "b"]
    assert entries["a"] != entries["b"]
    done = CliRunner().invoke(check, [str(file), "--set", "sweep.0.seed=-1"], obj=state)
    assert "entry a: seed: expected a whole number" in str(done.exception)
