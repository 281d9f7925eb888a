"""A sweep becomes one checked recipe for each entry, and all that is wrong is shown once."""

from pathlib import Path
from typing import Any

import pytest
from command_line import TINY
from toy_plugins import RECIPE, TOYS

from dddm.errors import DddmError, PluginError, RecipeError, UsageError
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.recipe.sweep import Sweep, choose_entry, choose_runs, read_recipe_or_sweep
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue

SWEEP = (
    RECIPE
    + """
[[sweep]]
name = "far"
metric = { use = "far" }

[[sweep]]
name = "slow"
seed = 4
[sweep.metric]
rate = 0.125
[[sweep.sample]]
use = "steps"
size = 1
steps = [9]
"""
)
FIRST = RECIPE.count("\n") + 2
"""The line of the first [[sweep]]."""


def read_either(folder: Path, text: str, *overrides: str) -> Recipe | Sweep:
    file = folder / "toy.toml"
    file.write_text(text)
    return read_recipe_or_sweep(file, overrides=overrides, catalogue=TOYS)


def read(folder: Path, text: str = SWEEP, *overrides: str) -> Sweep:
    found = read_either(folder, text, *overrides)
    assert isinstance(found, Sweep)
    return found


def refused(folder: Path, text: str, *overrides: str, kind: type[DddmError] = RecipeError) -> str:
    with pytest.raises(kind) as caught:
        read(folder, text, *overrides)
    assert type(caught.value) is kind
    return str(caught.value)


def test_entries_are_laid_over_the_recipe(tmp_path: Path) -> None:
    """Tables merge deeply, one whose `use` changes is replaced, arrays are replaced whole."""
    far, slow = read(tmp_path).entries
    assert (far.name, slow.name) == ("far", "slow")
    assert far.recipe.tables["metric"] == {"use": "other:far"}
    assert far.recipe.seed == 3
    assert slow.recipe.tables["metric"]["rate"] == 0.125
    assert slow.recipe.tables["metric"]["size"] == 1
    assert slow.recipe.seed == 4
    assert [job.steps for job in slow.recipe.sample] == [(9,)]
    assert slow.changes == {
        "seed": 4,
        "metric": {"rate": 0.125},
        "sample": [{"use": "steps", "size": 1, "steps": [9]}],
    }


def test_the_base_is_the_recipe_without_the_sweep(tmp_path: Path) -> None:
    """It is what `read_recipe` gives; a recipe without a sweep has no entries."""
    sweep = read(tmp_path)
    (tmp_path / "plain.toml").write_text(RECIPE)
    plain = read_recipe(tmp_path / "plain.toml", catalogue=TOYS)
    assert sweep.base.fingerprint == plain.fingerprint
    assert read_recipe(tmp_path / "toy.toml", catalogue=TOYS) == sweep.base
    assert read_either(tmp_path, RECIPE) == plain
    assert read_either(tmp_path, SWEEP, "sweep=[]") == plain


def test_an_entry_equals_the_same_changes_in_a_file_that_extends(tmp_path: Path) -> None:
    """A sweep is short for as many files, each of which extends the recipe."""
    far = read(tmp_path).entries[0]
    (tmp_path / "base.toml").write_text(RECIPE)
    file = tmp_path / "far.toml"
    file.write_text('extends = "base.toml"\nname = "toy-far"\nmetric = { use = "far" }\n')
    alone = read_recipe(file, catalogue=TOYS)
    assert far.recipe.fingerprint == alone.fingerprint
    assert far.recipe.name == "toy-far"


def test_set_comes_last_for_all_entries_and_reaches_into_one(tmp_path: Path) -> None:
    """`--set seed=7` holds for every entry, `--set sweep.1.metric.rate=…` for that one."""
    overrides = ["seed=7", "name=again", "sweep.1.metric.rate=0.25"]
    sweep = read(tmp_path, SWEEP, *overrides)
    assert [entry.recipe.seed for entry in sweep.entries] == [7, 7]
    assert [entry.recipe.name for entry in sweep.entries] == ["again-far", "again-slow"]
    assert sweep.entries[1].recipe.metric is not None
    assert sweep.entries[1].recipe.metric.options.rate == 0.25
    origins = sweep.entries[1].recipe.origins
    assert origins["metric.rate"] == "--set sweep.1.metric.rate=0.25"
    assert origins["seed"] == "--set seed=7"
    assert origins["sample.0.steps"].endswith(f"toy.toml:{FIRST + 12}")
    assert origins["train.epochs"].endswith(
        f"toy.toml:{RECIPE[: RECIPE.index('epochs')].count(chr(10)) + 1}"
    )


def test_a_sweep_is_inherited_replaced_or_left_out(tmp_path: Path) -> None:
    """Arrays are replaced whole, so a file has its base's sweep, its own, or with `[]` none."""
    (tmp_path / "base.toml").write_text(SWEEP)
    head = 'extends = "base.toml"\n'
    own = '[[sweep]]\nname = "only"\nmetric = { rate = 0.75 }\n'
    assert [entry.name for entry in read(tmp_path, head).entries] == ["far", "slow"]
    assert [entry.name for entry in read(tmp_path, head + own).entries] == ["only"]
    assert isinstance(read_either(tmp_path, head + "sweep = []\n"), Recipe)


def test_a_full_id_and_a_bare_name_are_one_component(tmp_path: Path) -> None:
    """An entry that names the component with its namespace merges with the base's options."""
    text = RECIPE + '[[sweep]]\nname = "full"\nmetric = { use = "toy:near", rate = 0.75 }\n'
    (entry,) = read(tmp_path, text).entries
    assert entry.recipe.metric is not None
    assert entry.recipe.metric.options.size == 1


def test_all_errors_of_all_entries_are_shown_with_their_places(tmp_path: Path) -> None:
    """Each has line, column and entry; what is wrong in two entries is said once."""
    text = RECIPE + (
        '\n[[sweep]]\nname = "a"\nmetric = { rate = 2.0 }\n'
        '\n[[sweep]]\nname = "b"\nmetrik = { rate = 0.5 }\n[sweep.backbone]\nsizes = 3\n'
    )
    message = refused(tmp_path, text, "train.epochs=0")
    assert "4 errors" in message
    assert f"toy.toml:{FIRST + 2}:19: entry a: rate: " in message
    assert f"toy.toml:{FIRST + 6}:1: entry b: a recipe has no key 'metrik'" in message
    assert f"toy.toml:{FIRST + 8}:1: entry b: the backbone net has no option 'sizes'" in message
    assert message.count("--set train.epochs=0: epochs: ") == 1


def test_what_is_wrong_with_the_base_is_not_said_of_entries(tmp_path: Path) -> None:
    """One error in a table that no entry touches is one error."""
    message = refused(tmp_path, SWEEP.replace("epochs = 5", "epochs = 0"))
    assert "an error" in message
    assert "entry" not in message
    missing = SWEEP.replace('[schedule]\nuse = "plain"\n', "")
    assert refused(tmp_path, missing).count("[schedule] is missing") == 1


def test_errors_that_entries_share_name_them(tmp_path: Path) -> None:
    """Where an entry makes a table of the base wrong, it is shown there with the entry's name."""
    text = RECIPE.replace("size = 2\n", "size = 4\n") + (
        '[[sweep]]\nname = "a"\nmetric = { rate = 0.5 }\n[[sweep]]\nname = "b"\n'
        "metric = { rate = 0.5 }\n"
    )
    message = refused(tmp_path, text)
    assert message.count("the same as the metric's") == 1
    assert "entries a, b: rate: the same as the metric's" in message


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("sweep = 3", "sweep must be an array"),
        ("sweep = [1]", "sweep must be an array"),
        ("[[sweep]]\nseed = 1", "an entry needs a name of letters"),
        ("[[sweep]]\nname = 3", "an entry needs a name of letters"),
        ("[[sweep]]\nname = '../up'", "an entry needs a name of letters"),
        ("[[sweep]]\nname = ''", "an entry needs a name of letters"),
        ("[[sweep]]\nname = '.'", "an entry needs a name of letters"),
        ("[[sweep]]\nname = 'Sweep.json'", "cannot be named Sweep.json"),
        ("[[sweep]]\nname = 'a'\n[[sweep]]\nname = 'A'", "there is already an entry"),
        ("[[sweep]]\nname = 'a'\nformat = 2", "an entry cannot change format"),
        ("[[sweep]]\nname = 'a'\nextends = 'b'", "an entry cannot change extends"),
        ("[[sweep]]\nname = 'a'\n[[sweep.sweep]]\nname = 'b'", "an entry cannot contain a sweep"),
        ("[[sweep]]\nname = 'a'\nmetric = 3", "entry a: metric must be a table"),
    ],
)
def test_entries_that_cannot_be(tmp_path: Path, entries: str, expected: str) -> None:
    """One error, with its line."""
    lines = RECIPE.split("\n")
    text = f"{entries}\n{RECIPE}" if entries.startswith("sweep") else f"{RECIPE}{entries}\n"
    message = refused(tmp_path, text)
    assert "an error" in message
    assert expected in message
    line = 1 if entries.startswith("sweep") else len(lines) - 1
    assert any(f"toy.toml:{k}:" in message for k in range(line, line + 5))


def test_a_missing_plugin_of_an_entry_is_a_plugin_error(tmp_path: Path) -> None:
    """The exit code is that of a plugin, with the entry's name."""
    text = RECIPE + '[[sweep]]\nname = "a"\nmetric = { use = "fra" }\n'
    message = refused(tmp_path, text, kind=PluginError)
    assert "entry a:" in message
    assert "far" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [("sweep.5.seed=1", "no place"), ("sweep.0.seed", "KEY=VALUE"), ("x.0=1", "x")],
)
def test_overrides_that_cannot_be(tmp_path: Path, override: str, expected: str) -> None:
    """What is wrong with the command line is said once, and nothing else."""
    message = refused(tmp_path, SWEEP, override)
    assert "an error" in message
    assert expected in message


def test_an_entry_is_found_by_name(tmp_path: Path) -> None:
    """A mistyped name gets the nearest one; a recipe without a sweep says so."""
    sweep = read(tmp_path)
    assert choose_entry(sweep, "slow") is sweep.entries[1]
    with pytest.raises(UsageError, match="did you mean slow"):
        choose_entry(sweep, "slwo")
    with pytest.raises(UsageError, match="single recipe"):
        choose_entry(sweep.base, "slow")


SEEDED = "training_seeds = [2, 0]\n" + SWEEP.replace('name = "slow"\nseed = 4\n', 'name = "slow"\n')


def test_each_entry_has_a_run_for_each_training_seed(tmp_path: Path) -> None:
    """A run is the entry with another seed and name; the first seed of all entries comes first."""
    sweep = read(tmp_path, SEEDED)
    assert sweep.training_seeds == (2, 0)
    names = ["far/seed-2", "slow/seed-2", "far/seed-0", "slow/seed-0"]
    assert [run.name for run in sweep.runs] == names
    assert [run.recipe.seed for run in sweep.runs] == [2, 2, 0, 0]
    assert [run.recipe.name for run in sweep.runs][:2] == ["toy-far-seed-2", "toy-slow-seed-2"]
    entry = read(tmp_path, SWEEP, "seed=0").entries[0].recipe
    run = sweep.runs[2].recipe
    for name, value in entry.tables.items():
        assert run.tables[name] == ("toy-far-seed-0" if name == "name" else value)
    assert sweep.runs[0].recipe.origins["seed"].endswith("toy.toml:1")


def test_without_training_seeds_a_run_is_the_entry(tmp_path: Path) -> None:
    sweep = read(tmp_path)
    assert [(run.name, run.seed) for run in sweep.runs] == [("far", None), ("slow", None)]
    assert [run.recipe for run in sweep.runs] == [entry.recipe for entry in sweep.entries]


def test_a_run_is_found_by_entry_and_seed(tmp_path: Path) -> None:
    sweep = read(tmp_path, SEEDED)
    assert choose_runs(sweep, "far") == sweep.entries[0].runs
    assert choose_runs(sweep, "far/seed-0") == sweep.entries[0].runs[1:]
    with pytest.raises(UsageError, match="no entry 'far/seed-1'"):
        choose_runs(sweep, "far/seed-1")


def test_training_seeds_are_set_inherited_written_and_left_out(tmp_path: Path) -> None:
    """`--set` changes them; what is shown reads back alike; without a sweep they mean nothing."""
    assert read(tmp_path, SEEDED, "training_seeds=[7]").training_seeds == (7,)
    (tmp_path / "base.toml").write_text(SEEDED)
    head = 'extends = "base.toml"\n'
    inherited = read(tmp_path, head)
    assert inherited.training_seeds == (2, 0)
    assert isinstance(read_either(tmp_path, head + "sweep = []\n"), Recipe)
    assert read_recipe(tmp_path / "base.toml", catalogue=TOYS) == inherited.base
    text = to_toml(
        inherited.base, entries=inherited.entries, training_seeds=inherited.training_seeds
    )
    again = read(tmp_path, text)
    assert [r.recipe.fingerprint for r in again.runs] == [
        r.recipe.fingerprint for r in inherited.runs
    ]


@pytest.mark.parametrize(
    ("text", "override", "expected"),
    [
        ("training_seeds = []\n" + SWEEP, (), "toy.toml:1:18: training_seeds must be a list"),
        ("training_seeds = 3\n" + SWEEP, (), "must be a list"),
        ("training_seeds = [1, -1]\n" + SWEEP, (), "must be whole numbers"),
        ("training_seeds = [true]\n" + SWEEP, (), "must be whole numbers"),
        ("training_seeds = [1, 2, 1]\n" + SWEEP, (), "has a seed twice"),
        (
            "training_seeds = [0]\n" + RECIPE,
            (),
            "toy.toml:1:1: training_seeds are those of a sweep",
        ),
        ("training_seeds = [0]\n" + SWEEP, (), f"toy.toml:{FIRST + 7}:1: an entry cannot set seed"),
        (SEEDED, ("seed=1",), "--set seed=1: the sweep's training_seeds decide"),
        (
            SEEDED.replace('name = "far"\n', 'name = "far"\ntraining_seeds = [0]\n'),
            (),
            "an entry cannot change training_seeds",
        ),
    ],
)
def test_training_seeds_that_cannot_be(
    tmp_path: Path, text: str, override: tuple[str, ...], expected: str
) -> None:
    """One error, with its line."""
    message = refused(tmp_path, text, *override)
    assert "an error" in message
    assert expected in message


def test_reading_changes_nothing_that_was_read(tmp_path: Path) -> None:
    """Entries share no table with each other or the base: changing one changes no other."""
    sweep = read(tmp_path)
    tables: dict[str, Any] = sweep.entries[0].recipe.tables
    tables["train"]["epochs"] = 99
    assert sweep.base.tables["train"]["epochs"] == 5
    assert sweep.entries[1].recipe.tables["train"]["epochs"] == 5


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('data = { use = "digits" }', "entry far is trained on other images than slow"),
        ('evaluate = { features = "pixels-8x8" }', "entry far is scored in another way than slow"),
        (
            'sample = [{ use = "fixed-time", steps = [1], images = 99 }]',
            "entry far draws another number of images than slow",
        ),
    ],
)
def test_entries_that_cannot_be_compared(tmp_path: Path, change: str, expected: str) -> None:
    """Refused with training seeds, at the line that differs from most; otherwise a warning."""
    entries = "".join(f'[[sweep]]\nname = "{name}"\n' for name in ("far", "slow", "last"))
    text = TINY.replace('use = "digits"', 'use = "npz"\npath = "a.npz"') + entries
    text = text.replace('name = "far"\n', f'name = "far"\n{change}\n')
    line = text[: text.index(change)].count("\n") + 1
    file = tmp_path / "tiny.toml"
    file.write_text(text)
    catalogue = load_catalogue()
    sweep = read_recipe_or_sweep(file, catalogue=catalogue)
    assert isinstance(sweep, Sweep)
    (warning,) = sweep.warnings
    assert f"tiny.toml:{line}: {expected}" in warning
    with pytest.raises(RecipeError) as caught:
        read_recipe_or_sweep(file, overrides=["training_seeds=[0]"], catalogue=catalogue)
    assert f"tiny.toml:{line}:1: {expected}" in str(caught.value)
    assert "an error" in str(caught.value)
    alike = read_recipe_or_sweep(
        file,
        overrides=["training_seeds=[0]", "sweep=[{name='a'}]"],
        catalogue=catalogue,
    )
    assert isinstance(alike, Sweep)
    assert alike.warnings == ()


@pytest.mark.parametrize("name", ["figure2a", "figure2b", "table3"])
def test_sweeps_that_come_with_dddm_can_be_compared(name: str) -> None:
    sweep = read_recipe_or_sweep(
        name, overrides=["training_seeds=[0, 1]"], catalogue=load_catalogue()
    )
    assert isinstance(sweep, Sweep)
    assert sweep.warnings == ()
    assert len(sweep.runs) == 2 * len(sweep.entries)
