"""`dddm show`."""

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from toy_plugins import RECIPE, toy_catalogue

from dddm.cli.show import show
from dddm.recipe.merge import parse_value
from dddm.recipe.read import read_recipe
from dddm.recipe.sweep import Sweep, read_recipe_or_sweep


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
    assert origins['metric.use="toy:near"'] == "toy.toml:19"
    line = RECIPE.split("\n").index("steps = [1, 2]") + 1
    assert origins["sample.0.steps=[1, 2]"] == f"toy.toml:{line}"
    recipe = read_recipe(toy, overrides=["train.epochs=2"], catalogue=toy_catalogue())
    again = read_recipe(toy, overrides=list(origins), catalogue=toy_catalogue())
    assert again == recipe
    assert parse_value(next(iter(origins)).partition("=")[2]) == 2


def test_json_holds_everything(toy: str) -> None:
    """Tables, fingerprint and origins."""
    facts = json.loads(shown(toy, "--json"))
    recipe = read_recipe(toy, catalogue=toy_catalogue())
    assert facts == {
        "fingerprint": recipe.fingerprint, "recipe": recipe.tables, "origins": recipe.origins,
    }  # fmt: skip


SWEEP = (
    '[[sweep]]\nname = "a"\nmetric = { use = "far" }\n[[sweep]]\nname = "b"\nmetric.rate = 0.75\n'
)


def test_a_sweep_is_shown_as_a_recipe_with_a_sweep(toy: str) -> None:
    """It reads back to the same base and entries; --entry shows one as a recipe of its own."""
    Path(toy).write_text(RECIPE + SWEEP)
    sweep = read_recipe_or_sweep(toy, catalogue=toy_catalogue())
    Path("again.toml").write_text(shown(toy))
    again = read_recipe_or_sweep("again.toml", catalogue=toy_catalogue())
    assert isinstance(sweep, Sweep)
    assert isinstance(again, Sweep)
    assert again.base == sweep.base
    fingerprints = [entry.recipe.fingerprint for entry in sweep.entries]
    assert [entry.recipe.fingerprint for entry in again.entries] == fingerprints
    Path("alone.toml").write_text(shown(toy, "--entry", "b"))
    alone = read_recipe("alone.toml", catalogue=toy_catalogue())
    assert alone.fingerprint == fingerprints[1]
    assert [
        entry["fingerprint"] for entry in json.loads(shown(toy, "--json"))["entries"]
    ] == fingerprints


def test_values_of_entries_are_listed_as_set_takes_them(toy: str) -> None:
    """--origin lists them behind the recipe; of one entry, each value has its place."""
    Path(toy).write_text(RECIPE + SWEEP)
    lines = shown(toy, "--origin").splitlines()
    assert lines[-4:] == [
        'sweep.0.name="a"',
        'sweep.0.metric.use="far"',
        'sweep.1.name="b"',
        "sweep.1.metric.rate=0.75",
    ]
    line = RECIPE.count("\n") + 3
    of_entry = shown(toy, "--origin", "--entry", "a").splitlines()
    assert any(f"# toy.toml:{line}" in words and "other:far" in words for words in of_entry)
