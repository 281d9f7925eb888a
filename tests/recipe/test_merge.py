"""Tables are merged, and each value keeps its origin."""

from pathlib import Path

import pytest

from dddm.recipe.merge import Node, apply_overrides, merge, same_component
from dddm.recipe.source import Source
from dddm.recipe.write import difference

TEXT = "[a]\nuse = 'x'\nn = 1\n[[more]]\na = { n = 2 }\nb = { use = 'y' }\n"


def node_of(folder: Path, text: str) -> Node:
    file = folder / "a.toml"
    file.write_text(text)
    return Node.from_file(Source.read(file))


def place_of(node: Node, *path: str) -> str:
    return node.find(path)[0].origin.short.rpartition("/")[2]


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


def test_merged_values_keep_their_origin(tmp_path: Path) -> None:
    root = node_of(tmp_path, TEXT)
    merged = merge(root, root.table["more"].value[0])
    assert merged.plain()["a"] == {"use": "x", "n": 2}
    assert place_of(merged, "a", "n") == "a.toml:5"
    assert place_of(merged, "a", "use") == "a.toml:2"
    assert place_of(merged, "b", "use") == "a.toml:6"
    assert place_of(merged, "b", "missing") == "a.toml:6"


def test_a_replaced_table_has_the_origin_of_the_new_one(tmp_path: Path) -> None:
    root = node_of(tmp_path, "[a]\nuse = 'x'\nn = 1\n[[more]]\na = { use = 'y' }\n")
    merged = merge(root, root.table["more"].value[0])
    assert merged.plain()["a"] == {"use": "y"}
    assert place_of(merged, "a") == "a.toml:5"


def test_overriding_changes_no_other_tree(tmp_path: Path) -> None:
    root = node_of(tmp_path, "[a]\nn = 1\n[b]\nn = 2\n")
    changed, problems = apply_overrides(root.without("b"), ["a.n=9"])
    assert not problems
    assert changed.plain() == {"a": {"n": 9}}
    assert place_of(changed, "a", "n") == "--set a.n=9"
    assert root.plain() == {"a": {"n": 1}, "b": {"n": 2}}
    assert place_of(root, "a", "n") == "a.toml:2"


def test_each_difference_is_a_line() -> None:
    """By its dotted key; 1, 1.0 and true are different values in a recipe."""
    one = {"seed": 0, "train": {"epochs": 60, "shards": 2}, "metric": {"use": "l1"}, "a": 1}
    other = {"seed": 0, "train": {"epochs": 2, "ema": 0.5}, "metric": {"use": "l2"}, "a": True}
    assert difference(one, one) == []
    assert difference(one, other) == [
        "train.epochs: 60 → 2",
        "train.shards: 2 → absent",
        "train.ema: absent → 0.5",
        "metric.use: l1 → l2",
        "a: 1 → True",
    ]
