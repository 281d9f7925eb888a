"""`dddm show`."""

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from toy_plugins import RECIPE, toy_catalogue

from dddm.cli.show import show
from dddm.recipe.overrides import parse_value
from dddm.recipe.read import read_recipe


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy recipe as a file in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("toy.toml").write_text(RECIPE)
    return "toy.toml"


def shown(*words: str) -> str:
    done = CliRunner().invoke(show, [*words], obj={"catalogue": toy_catalogue()})
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_what_is_shown_is_a_recipe(toy: str) -> None:
    """Written into a file it reads back to the same, with every default filled in."""
    text = shown(toy, "--set", "seed=9")
    Path("again.toml").write_text(text)
    recipe = read_recipe(toy, overrides=["seed=9"], catalogue=toy_catalogue())
    assert read_recipe("again.toml", catalogue=toy_catalogue()) == recipe
    assert tomllib.loads(text)["train"]["ema"] == 0.9999


def test_origins_are_beside_the_values(toy: str) -> None:
    """Each value is a line that `--set` takes, with its file and line, default or --set."""
    lines = shown(toy, "--origin", "--set", "train.epochs=2").splitlines()
    origins = dict(line.split("  # ") for line in lines if "  # " in line)
    origins = {words.rstrip(): origin for words, origin in origins.items()}
    assert origins["seed=3"] == "toy.toml:3"
    assert origins["train.epochs=2"] == "--set train.epochs=2"
    assert origins["train.ema=0.9999"] == "default"
    assert origins['metric.use="toy:near"'] == "toy.toml:16"
    line = RECIPE.split("\n").index("steps = [1, 2]") + 1
    assert origins["sample.0.steps=[1, 2]"] == f"toy.toml:{line}"
    recipe = read_recipe(toy, overrides=["train.epochs=2"], catalogue=toy_catalogue())
    again = read_recipe(toy, overrides=list(origins), catalogue=toy_catalogue())
    assert again == recipe
    assert parse_value(next(iter(origins)).partition("=")[2]) == 1


def test_json_holds_everything(toy: str) -> None:
    """Tables, fingerprint and origins."""
    facts = json.loads(shown(toy, "--json"))
    recipe = read_recipe(toy, catalogue=toy_catalogue())
    assert facts == {
        "fingerprint": recipe.fingerprint, "recipe": recipe.tables, "origins": recipe.origins,
    }  # fmt: skip
