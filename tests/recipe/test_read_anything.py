"""Whatever stands in a recipe, it is read or refused in words; nothing else ever comes out."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_plugins import RECIPE, TOYS

from dddm.errors import PluginError, RecipeError
from dddm.recipe.layout import KEYS
from dddm.recipe.read import read_recipe

words = st.sampled_from(
    [*KEYS, "use", "epochs", "steps", "images", "size", "rate", "list", "0", "1"]
)
plain = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=5)
    | st.sampled_from(["steps", "near", "toy:pixels", "a b", "[1]"])
    | st.dates()
    | st.times()
    | st.datetimes()
)
anything = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
keys = st.lists(words, min_size=1, max_size=4).map(".".join)


def read(folder: Path, text: str, *overrides: str) -> None:
    file = folder / "any.toml"
    file.write_text(text, encoding="utf-8")
    with contextlib.suppress(RecipeError, PluginError):
        read_recipe(file, overrides=overrides, catalogue=TOYS)


@given(tables=st.dictionaries(words, anything, max_size=6))
@settings(max_examples=150)
def test_any_tables(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Any]) -> None:
    """Tables of any shape under the keys that recipes know."""
    read(tmp_path_factory.mktemp("any"), tomli_w.dumps(tables))


@given(key=keys, value=anything)
@settings(max_examples=150)
def test_any_override(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any) -> None:
    """Any value at any place of a right recipe, from the command line."""
    text = tomli_w.dumps({"v": [value]}).removeprefix("v = ").strip()
    folder = tmp_path_factory.mktemp("any")
    read(folder, RECIPE, f"{key}={text}")
    read(folder, RECIPE, f"{key}={text[1:-1].strip().rstrip(',')}")


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000 + "]" * 5000, "1e999", "-0.0", "9" * 300])
def test_values_that_exhaust(tmp_path: Path, value: str) -> None:
    """Numbers and nesting without end, in a file and from the command line."""
    read(tmp_path, RECIPE.replace("size = 2", f"size = {value}"))
    read(tmp_path, RECIPE, f"backbone.rate={value}", f"backbone.list=[{value}]", f"seed={value}")


@given(key=st.text(max_size=8), value=st.text(max_size=8))
def test_any_words(tmp_path_factory: pytest.TempPathFactory, key: str, value: str) -> None:
    """Any text behind `--set`."""
    read(tmp_path_factory.mktemp("any"), RECIPE, f"{key}={value}", key)


@given(cut=st.integers(0, len(RECIPE)), put=st.text(max_size=3))
def test_any_damage(tmp_path_factory: pytest.TempPathFactory, cut: int, put: str) -> None:
    """A right recipe with anything typed into it."""
    read(tmp_path_factory.mktemp("any"), RECIPE[:cut] + put + RECIPE[cut:])
