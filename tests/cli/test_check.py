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
