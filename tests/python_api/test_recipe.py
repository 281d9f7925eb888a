"""`dddm.Recipe` from files and tables of Python."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import TINY, write_tiny

import dddm
from dddm.errors import DddmError, RecipeError, UsageError

SWEEP = """
[[sweep]]
name = "l1"
metric = { use = "l1" }
train = { epochs = 7 }

[[sweep]]
name = "l2"
metric = { use = "l2" }
"""


def test_a_file_and_its_tables_are_one_recipe(tmp_path: Path) -> None:
    """Read by path, or checked as the tables that are in it: equal to the last option."""
    read = dddm.Recipe.from_file(write_tiny(tmp_path))
    checked = dddm.Recipe.from_dict(tomllib.loads(TINY))
    assert read == checked
    assert read.fingerprint == checked.fingerprint
    assert repr(read) == "<Recipe tiny: directly-denoising on digits>"


def test_overrides_are_those_of_the_command_line(tmp_path: Path) -> None:
    """Values by dotted key change what `--set` would change; tuples and paths may stand there."""
    from dddm.recipe.read import read_recipe
    from dddm.registry.loader import load_catalogue

    words = ["train.epochs=9", "sample.0.steps=[1, 4]", "data.use=npz", 'data.path="x/y.npz"']
    file = write_tiny(tmp_path)
    expected = read_recipe(file, overrides=words, catalogue=load_catalogue())
    values: dict[str, Any] = {
        "train.epochs": 9,
        "sample.0.steps": (1, 4),
        "data.use": "npz",
        "data.path": Path("x/y.npz"),
    }
    assert dddm.Recipe.from_file(file, overrides=values) == expected


def test_tables_extend_a_recipe() -> None:
    """One that comes with dddm, as in a file."""
    sample = ({"use": "fixed-time", "steps": (4, 1)},)
    tables = {"extends": "digits", "train": {"steps": 3}, "name": "short", "sample": sample}
    short = dddm.Recipe.from_dict(tables)
    assert [spec.steps for spec in short.sample] == [(1, 4)]
    whole = dddm.Recipe.from_file("digits")
    assert (short.name, short.train.steps, short.train.epochs) == ("short", 3, None)
    assert short.backbone == whole.backbone


def test_an_entry_of_a_sweep(tmp_path: Path) -> None:
    """It is chosen by name, and overrides win over what it says; without a name nothing runs."""
    file = tmp_path / "sweep.toml"
    file.write_text(TINY + SWEEP)
    entry = dddm.Recipe.from_file(file, entry="l1")
    assert entry.metric is not None
    assert (entry.metric.component.name, entry.train.epochs) == ("l1", 7)
    again = dddm.Recipe.from_file(file, entry="l1", overrides={"train.epochs": 2})
    assert again.train.epochs == 2
    assert dddm.Recipe.from_dict(tomllib.loads(TINY + SWEEP), entry="l1") == entry
    with pytest.raises(UsageError, match='entry="l1"; there are l1, l2'):
        dddm.Recipe.from_file(file)
    with pytest.raises(UsageError, match="no entry 'l3'"):
        dddm.Recipe.from_file(file, entry="l3")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: dddm.Recipe.from_file("digitz"), ("digitz", "did you mean digits?")),
        (
            lambda: dddm.Recipe.from_file("digits", overrides={"train.epoch": 2, "seed": "x"}),
            ("train.epoch: [train] has no option 'epoch'", "did you mean epochs?", "seed:"),
        ),
        (
            lambda: dddm.Recipe.from_file("digits", overrides={"sample.9.steps": [1]}),
            ("sample.9.steps = [1]: the recipe has no place sample.9.steps",),
        ),
        (
            lambda: dddm.Recipe.from_dict({"extends": "digits", "train": {"batch_images": "a"}}),
            ("train.batch_images: batch_images: expected a whole number, found 'a'",),
        ),
        (
            lambda: dddm.Recipe.from_dict({"extends": "digits", "metrics": {}}),
            ("metrics: a recipe has no key 'metrics'", "did you mean metric?"),
        ),
        (lambda: dddm.Recipe.from_dict({1: 2}), ("the key 1 is not text",)),  # type: ignore[dict-item]
        (lambda: dddm.Recipe.from_dict({"extends": 3}), ("the path or name of a recipe",)),
        (
            lambda: dddm.Recipe.from_dict({"extends": "digits", "sample": [{"use": "ddmi"}]}),
            ("sample.0.use:", "ddmi", "ddim"),
        ),
    ],
)
def test_a_mistake_is_named(make: Callable[[], object], says: tuple[str, ...]) -> None:
    """All at once, each with its dotted key and what would be right."""
    with pytest.raises(DddmError) as caught:
        make()
    assert isinstance(caught.value, RecipeError) or "plugin" in type(caught.value).__name__.lower()
    for words in says:
        assert words in str(caught.value)


def test_a_recipe_is_read_without_torch() -> None:
    """So are all names of `dddm`, until one that needs it is asked for; unknown ones are errors."""
    program = """
import sys
import dddm
assert "Recipe" in dir(dddm) and "train" in dir(dddm)
dddm.Recipe.from_file("digits", overrides={"train.epochs": 2})
assert issubclass(dddm.errors.RecipeError, dddm.errors.DddmError)
assert "torch" not in sys.modules and "numpy" not in sys.modules
try:
    dddm.trian
except AttributeError as error:
    print(error)
dddm.load
assert "torch" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "module 'dddm' has no attribute 'trian'\n"
