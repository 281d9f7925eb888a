"""What a recipe means where it leaves a component out, and what its objective has no use for."""

from pathlib import Path

import pytest
from toy_plugins import RECIPE, TOYS, error_of_toy, read_toy

from dddm.recipe.model import Recipe
from dddm.recipe.sweep import Sweep, read_recipe_or_sweep
from dddm.recipe.write import to_toml

TABLES = {
    "objective": '[objective]\nuse = "remember"\n\n',
    "targets": '[targets]\nuse = "kept"\n\n',
    "optimizer": '[optimizer]\nuse = "descent"\n\n',
    "learning_rate": '[learning_rate]\nuse = "flat"\nrate = 1e-3\n\n',
}
DEFAULTS = {
    "objective": "dddm:directly-denoising",
    "targets": "dddm:ram",
    "optimizer": "dddm:adam",
    "learning_rate": "dddm:constant",
}
METRIC = '[metric]\nuse = "near"\nsize = 1\nrate = 0.25\n\n'


def without(*names: str) -> str:
    """The recipe less these tables."""
    text = RECIPE
    for name in names:
        assert TABLES[name] in text
        text = text.replace(TABLES[name], "")
    return text


def above(folder: Path, base: str, text: str) -> Recipe:
    """A recipe that extends another."""
    (folder / "base.toml").write_text(base)
    return read_toy(folder, f'extends = "base.toml"\n{text}')


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_table_may_be_left_out(tmp_path: Path, name: str) -> None:
    """The default component stands there, with its own defaults, and is written out."""
    recipe = read_toy(tmp_path, without(name))
    assert recipe.tables[name]["use"] == DEFAULTS[name]
    assert getattr(recipe, name).component.id == DEFAULTS[name]
    assert recipe.origins[f"{name}.use"] == "default"
    assert read_toy(tmp_path, to_toml(recipe)) == recipe


def test_saying_a_default_changes_nothing(tmp_path: Path) -> None:
    """Left out, as an empty table, by name and by id: one recipe, with one fingerprint."""
    text = without(*TABLES)
    said = [
        text,
        text + "".join(f"[{name}]\n" for name in DEFAULTS),
        text + "".join(f'[{name}]\nuse = "{use[5:]}"\n' for name, use in DEFAULTS.items()),
        text + "".join(f'[{name}]\nuse = "{use}"\n' for name, use in DEFAULTS.items()),
    ]
    assert len({read_toy(tmp_path, one).fingerprint for one in said}) == 1


def test_options_without_use_are_the_defaults_own(tmp_path: Path) -> None:
    """Typed and checked as if it were named; an option of another component is refused."""
    text = without(*TABLES) + "[learning_rate]\nrate = 0.5\n[objective]\ndropout = 0.25\n"
    recipe = read_toy(tmp_path, text)
    assert recipe.tables["learning_rate"] == {"use": "dddm:constant", "rate": 0.5}
    assert recipe.tables["objective"] == {"use": "dddm:directly-denoising", "dropout": 0.25}
    message = error_of_toy(tmp_path, f"{text}[optimizer]\nmomentum = 0.5\n")
    line = text.count("\n") + 2
    assert f"toy.toml:{line}:1: the optimizer adam has no option 'momentum'" in message


def test_use_comes_by_set_alone(tmp_path: Path) -> None:
    """`--set optimizer.use=…` makes the table; `--set optimizer.eps=…` means the default's."""
    text = without("optimizer")
    assert (
        read_toy(tmp_path, text, "optimizer.use=descent").tables["optimizer"]["use"]
        == "toy:descent"
    )
    assert read_toy(tmp_path, text, "optimizer.eps=1e-3").tables["optimizer"]["eps"] == 1e-3


def test_a_later_use_replaces_options(tmp_path: Path) -> None:
    """Another component in a later layer, or by --set, takes none of the earlier one's options."""
    base = without("optimizer") + "[optimizer]\neps = 1e-3\n"
    assert above(tmp_path, base, '[optimizer]\nuse = "descent"\n').tables["optimizer"] == {
        "use": "toy:descent"
    }
    assert read_toy(tmp_path, base, "optimizer.use=descent").tables["optimizer"] == {
        "use": "toy:descent"
    }
    same = above(tmp_path, base, '[optimizer]\nuse = "adam"\n')
    assert same.tables["optimizer"] == {"use": "dddm:adam", "eps": 1e-3}


def test_a_later_table_without_use_changes_what_is_there(tmp_path: Path) -> None:
    """It is about the component of the layer below, and about the default where that names none."""
    found = above(tmp_path, RECIPE, "[learning_rate]\nrate = 0.5\n")
    assert found.tables["learning_rate"] == {"use": "toy:flat", "rate": 0.5}
    merged = above(tmp_path, without("learning_rate"), "[learning_rate]\nrate = 0.25\n")
    assert merged.tables["learning_rate"] == {"use": "dddm:constant", "rate": 0.25}


@pytest.mark.parametrize("duration", ["steps = 9", "images = 180", "training_flops = 1e9"])
def test_a_later_duration_takes_the_place_of_another(tmp_path: Path, duration: str) -> None:
    """Steps laid over epochs, in a file, by --set and in a sweep's entry: epochs are gone."""
    name, _, value = duration.partition(" = ")
    assert "epochs = 5" in RECIPE
    overlaid = above(tmp_path, RECIPE, f"[train]\n{duration}\n")
    by_set = read_toy(tmp_path, RECIPE, f"train.{name}={value}")
    (tmp_path / "toy.toml").write_text(f'{RECIPE}[[sweep]]\nname = "a"\ntrain = {{ {duration} }}\n')
    sweep = read_recipe_or_sweep(tmp_path / "toy.toml", catalogue=TOYS)
    assert isinstance(sweep, Sweep)
    (entry,) = sweep.entries
    for recipe in (overlaid, by_set, entry.recipe):
        assert recipe.train.epochs is None
        assert getattr(recipe.train, name) == float(value)
        assert "epochs" not in recipe.tables["train"]
    assert overlaid == by_set
    assert entry.recipe.tables["train"] == by_set.tables["train"]


def test_one_file_says_how_long_once(tmp_path: Path) -> None:
    """Two durations in one file are refused where they stand."""
    twice = RECIPE.replace("epochs = 5", "epochs = 5\nsteps = 7")
    line = twice[: twice.index("steps = 7")].count("\n") + 1
    message = error_of_toy(tmp_path, twice)
    assert f"toy.toml:{line}:9: steps: [train] already says how long to train, by epochs" in message
    assert "remove epochs or steps" in message


@pytest.mark.parametrize(
    ("objective", "table", "why"),
    [
        ("forget", "targets", "the objective keeps no estimates, so [targets] has no meaning"),
        ("self-taught", "metric", "the objective uses no metric, so [metric] has no meaning"),
    ],
)
def test_a_table_that_the_objective_has_no_use_for(
    tmp_path: Path, objective: str, table: str, why: str
) -> None:
    """It is refused with line and column; without it the recipe has no such component."""
    text = RECIPE.replace('use = "remember"', f'use = "{objective}"')
    line = text[: text.index(f"[{table}]")].count("\n") + 1
    message = error_of_toy(tmp_path, text)
    assert f"toy.toml:{line}:1: {why}" in message
    assert f"leave [{table}] out, or choose another objective" in message
    bare = text.replace(TABLES["targets"] if table == "targets" else METRIC, "")
    recipe = read_toy(tmp_path, bare)
    assert getattr(recipe, table) is None
    assert table not in recipe.tables
    assert read_toy(tmp_path, to_toml(recipe)) == recipe


def test_what_is_not_installed_is_not_chosen(tmp_path: Path) -> None:
    """Here dddm's own metrics are not there; an objective that uses one must be told which."""
    assert "the table [metric] is missing" in error_of_toy(tmp_path, RECIPE.replace(METRIC, ""))
