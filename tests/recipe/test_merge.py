"""Tables are laid over each other, also over those that they stand in."""

from pathlib import Path

import pytest

from dddm.recipe.merge import Merged, same_component
from dddm.recipe.problems import Origin
from dddm.recipe.source import Source


def merged_of(folder: Path, text: str) -> Merged:
    file = folder / "a.toml"
    file.write_text(text)
    merged = Merged()
    merged.add_file(Source.read(file))
    return merged


def place_of(origin: Origin | None) -> str:
    assert origin is not None
    return origin.short.rpartition("/")[2]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("vp", "vp", True),
        ("vp", "dddm:vp", True),
        ("dddm:vp", "vp", True),
        ("vp", "dddm:vp-cosine", False),
        ("dddm:vp", "more:vp", False),
        ("vp", 3, False),
    ],
)
def test_names_of_one_component(one: object, other: object, same: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A bare name and a full id that ends in it are one; two full ids are one if equal."""
    assert same_component(one, other) is same


def test_what_is_laid_over_keeps_its_place(tmp_path: Path) -> None:
    """Values and tables of changes are found where they are written, the others where they were."""
    text = "[a]\nuse = 'x'\nn = 1\n[[more]]\na = { n = 2 }\nb = { use = 'y' }\n"
    merged = merged_of(tmp_path, text)
    merged.lay_over(merged.tables["more"][0], written=("more", 0))
    assert merged.tables["a"] == {"use": "x", "n": 2}
    assert place_of(merged.origin(("a", "n"))) == "a.toml:5"
    assert place_of(merged.origin(("a", "use"))) == "a.toml:2"
    assert place_of(merged.origin(("b", "use"))) == "a.toml:6"
    assert place_of(merged.origin(("b", "missing"))) == "a.toml:6"


def test_a_replaced_table_stands_where_it_was_replaced(tmp_path: Path) -> None:
    """What a table lacks whose `use` changed is said of the new table, not of the file."""
    merged = merged_of(tmp_path, "[a]\nuse = 'x'\nn = 1\n[[more]]\na = { use = 'y' }\n")
    merged.lay_over(merged.tables["more"][0], written=("more", 0))
    assert merged.tables["a"] == {"use": "y"}
    assert place_of(merged.origin(("a",))) == "a.toml:5"


def test_a_copy_is_changed_apart(tmp_path: Path) -> None:
    """Neither tables nor origins are shared, and one key is left out."""
    merged = merged_of(tmp_path, "[a]\nn = 1\n[b]\nn = 2\n")
    copied = merged.without("b")
    copied.put(("a", "n"), 9, words="--set a.n=9")
    assert copied.tables == {"a": {"n": 9}}
    assert merged.tables == {"a": {"n": 1}, "b": {"n": 2}}
    assert place_of(merged.origin(("a", "n"))) == "a.toml:2"
