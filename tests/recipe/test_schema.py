"""The JSON schema takes what the reader takes, and refuses what it refuses."""

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from attrs import frozen
from toy_plugins import RECIPE, TOYS

from dddm.interfaces.plugin import Kind, option
from dddm.recipe.read import read_recipe
from dddm.recipe.schema import schema_of
from dddm.recipe.source import shipped_names
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.registry.registrar import PluginRegistrar


@frozen(kw_only=True)
class Short:
    """Fewer than ten."""

    length: int = option(3, at_most=9, help="Steps.")


@frozen(kw_only=True)
class Long:
    """Ten and more."""

    length: int = option(30, at_least=10, help="Steps.")


INSTALLED = load_catalogue()


@cache
def validator_of(catalogue: Catalogue) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(schema_of(catalogue))


def mistakes(catalogue: Catalogue, recipe: dict[str, Any]) -> list[str]:
    return [error.json_path for error in validator_of(catalogue).iter_errors(recipe)]


@pytest.mark.parametrize("catalogue", [TOYS, INSTALLED, Catalogue([])])
def test_it_is_a_schema(catalogue: Catalogue) -> None:
    """Draft 7 accepts it, whatever is installed."""
    jsonschema.Draft7Validator.check_schema(schema_of(catalogue))


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_recipes_are_valid(name: str) -> None:
    """As they are written, and with every default filled in."""
    catalogue = INSTALLED
    text = files("dddm_recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    assert mistakes(catalogue, tomllib.loads(text)) == []
    assert mistakes(catalogue, read_recipe(name, catalogue=catalogue).tables) == []


SWEEP = """
[[sweep]]
name = "a"
seed = 4
metric = { rate = 0.75 }

[[sweep]]
name = "b"
metric = { use = "far" }
[[sweep.sample]]
use = "steps"
size = 1
steps = [1]
"""


def test_third_party_components_and_entries_are_valid() -> None:
    for text in (RECIPE, RECIPE + SWEEP, f"sweep = []\n{RECIPE}"):
        assert mistakes(TOYS, tomllib.loads(text)) == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("format = 2", "format = 1", "$.format"),
        ('name = "toy"', 'name = "../toy"', "$.name"),
        ("seed = 3", "seed = -1", "$.seed"),
        ("seed = 3", "sead = 3", "$"),
        ('[data]\nuse = "images"', "", "$"),
        ('use = "images"', "", "$.data"),
        ('use = "flat"', "rat = 1", "$.learning_rate"),
        ('use = "descent"', "eps = 0", "$.optimizer.eps"),
        ('use = "kept"', 'use = "kep"', "$.targets.use"),
        ("size = 2\n", "", "$.backbone"),
        ("size = 2", "size = 2\nsiez = 2", "$.backbone"),
        ("size = 2", "size = 0", "$.backbone.size"),
        ("size = 2", "size = 2.5", "$.backbone.size"),
        ("size = 2", "size = 2\nrate = 1", "$.backbone.rate"),
        ("size = 2", "size = 2\nmaybe = 9.5", "$.backbone.maybe"),
        ("size = 2", "size = 2\nword = 'up'", "$.backbone.word"),
        ("size = 2", "size = 2\nlist = [1, -1]", "$.backbone.list[1]"),
        ("epochs = 5", "epochs = 5\nsteps = 9", "$.train"),
        ("epochs = 5", "epochs = 5\nepocs = 5", "$.train"),
        ("steps = [3]", "", "$.sample[1]"),
        ("steps = [3]", "steps = [0]", "$.sample[1].steps[0]"),
        ('features = "toy:pixels"', 'features = "pixels"', "$.evaluate.features"),
        ('name = "a"', "", "$.sweep[0]"),
        ('name = "a"', 'name = "../a"', "$.sweep[0].name"),
        ("seed = 4", "seed = -4", "$.sweep[0].seed"),
        ("seed = 4", "format = 2", "$.sweep[0]"),
        ("seed = 4", "sweep = []", "$.sweep[0]"),
        ('use = "far"', 'use = "far", size = 1', "$.sweep[1].metric"),
        ("steps = [1]", "", "$.sweep[1].sample[0]"),
    ],
)
def test_each_mistake_is_one_error_at_its_place(old: str, new: str, where: str) -> None:
    first, second = (
        (RECIPE, SWEEP.replace(old, new, 1))
        if "sweep" in where
        else (RECIPE.replace(old, new, 1), SWEEP)
    )
    assert first + second != RECIPE + SWEEP
    assert mistakes(TOYS, tomllib.loads(first + second)) == [where]


def test_what_extends_need_not_say_everything() -> None:
    """Only what is said is checked, and an array, which is replaced whole, must be whole."""
    catalogue = TOYS
    recipe: dict[str, Any] = {"extends": "base.toml", "backbone": {"rate": 0.5}}
    assert mistakes(catalogue, recipe) == []
    assert mistakes(catalogue, recipe | {"train": {"epochs": 0}}) == ["$.train.epochs"]
    assert mistakes(catalogue, recipe | {"sample": [{"use": "steps"}]}) == ["$.sample[0]"] * 2


def test_what_has_a_default_may_be_left_out() -> None:
    """Table and `use` alike; the options beside it are then those of the default."""
    recipe = tomllib.loads(RECIPE)
    assert mistakes(TOYS, {name: recipe[name] for name in ("format", "data")}) == []
    for name in ("objective", "targets", "optimizer", "learning_rate"):
        del recipe[name]
    assert mistakes(TOYS, recipe) == []
    own: dict[str, Any] = {"optimizer": {"eps": 1e-6}, "targets": {"large": True}}
    assert mistakes(TOYS, recipe | own) == []
    tables = schema_of(TOYS)["properties"]
    assert tables["optimizer"]["properties"]["use"]["default"] == "adam"


@pytest.mark.parametrize("duration", ["steps = 7", "images = 7", "training_flops = 1e12"])
def test_each_way_to_say_how_long_is_valid(duration: str) -> None:
    """One of four, also where a recipe that is extended says it by another."""
    text = RECIPE.replace("epochs = 5", duration)
    assert mistakes(TOYS, tomllib.loads(text)) == []
    above = f'extends = "base.toml"\n[train]\n{duration}\n'
    assert mistakes(TOYS, tomllib.loads(above)) == []
    assert mistakes(TOYS, tomllib.loads(f"{above}epochs = 1\n")) == ["$.train"]


def test_options_are_described_with_their_defaults() -> None:
    """An editor can show what an option does and what it is if left out."""
    tables = schema_of(TOYS)["properties"]
    assert tables["train"]["properties"]["ema"] == {
        "description": "Decay of the weights' exponential moving average, per step.",
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.9999,
    }
    options = tables["backbone"]["properties"]
    assert options["use"] == {
        "description": "The backbone.",
        "enum": ["net", "toy:net"],
        "x-taplo": {"docs": {"enumValues": [".", "."]}},
    }
    assert options["list"] == {
        "description": "Some.",
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "default": [],
    }
    assert "default" not in options["maybe"]
    assert tables["metric"]["properties"]["size"]["description"] == "near: How large."


def tables_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema that describes a table with `use`."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if isinstance(schema, dict):
        if "title" in schema and "use" in schema.get("properties", {}):
            yield schema
        for inner in schema.values():
            yield from tables_of(inner)


@pytest.mark.parametrize("catalogue", [TOYS, INSTALLED])
def test_tables_are_laid_out_as_editors_complete_from(catalogue: Catalogue) -> None:
    """Options of all components stand in a table's properties, which has no `allOf` beside them."""
    every = tables_of(schema_of(catalogue))
    tables = {table["title"]: table for table in every if "dependencies" in table}
    assert set(tables) == {kind.value for kind in Kind if catalogue.components(kind)}
    for title, table in tables.items():
        assert table["description"]
        assert "allOf" not in table
        for component in catalogue.components(Kind(title)):
            own = {field.name for field in attrs.fields(component.options)}
            assert own <= set(table["properties"])
            assert {component.id} <= set(table["properties"]["use"]["enum"])


def test_components_may_differ_in_an_option_of_one_name() -> None:
    """Each takes its own, an editor is shown both, and no component takes the other's."""
    toy = PluginRegistrar(plugin="toy", package="toys", version="1.0")
    toy.add(Kind.SCHEDULE, "short", target="a:B", summary="Few.", options=Short)
    toy.add(Kind.SCHEDULE, "long", target="a:B", summary="Many.", options=Long)
    catalogue = Catalogue(toy.components)
    length = schema_of(catalogue)["properties"]["schedule"]["properties"]["length"]
    assert [one["description"] for one in length["anyOf"]] == ["long: Steps.", "short: Steps."]
    recipe: dict[str, Any] = {"extends": "base.toml"}
    for use, value, wrong in (
        ("short", 5, False), ("short", 50, True), ("long", 50, False), ("long", 5, True),
    ):  # fmt: skip
        table = {"use": use, "length": value}
        found = mistakes(catalogue, {**recipe, "schedule": table})
        assert found == (["$.schedule.length"] if wrong else [])


def test_a_number_may_be_a_word() -> None:
    """`accumulation_steps` is at least 1, or found when the run begins."""
    for value, wrong in ((3, False), ("auto", False), (0, True), ("three", True), (1.5, True)):
        recipe = {"extends": "digits", "train": {"accumulation_steps": value}}
        assert bool(mistakes(INSTALLED, recipe)) == wrong


@pytest.mark.skipif(shutil.which("taplo") is None, reason="taplo is not installed")
def test_taplo_takes_and_refuses_what_the_reader_does(tmp_path: Path) -> None:
    """The editor's own linter passes every shipped recipe, and names a mistyped option."""
    schema = tmp_path / "recipe.schema.json"
    schema.write_text(json.dumps(schema_of(INSTALLED)))

    def lint(text: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "recipe.toml").write_text(text)
        words = ["taplo", "lint", "--schema", schema.as_uri(), "recipe.toml"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    for name in shipped_names():
        text = files("dddm_recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
        assert lint(text).returncode == 0, name
    text = files("dddm_recipes").joinpath("digits.toml").read_text(encoding="utf-8")
    for right, wrong in (("multipliers", "multiplier"), ("epochs", "epocs")):
        done = lint(text.replace(f"\n{right} =", f"\n{wrong} ="))
        assert done.returncode == 1
        assert f"'{wrong}' was unexpected" in done.stderr
