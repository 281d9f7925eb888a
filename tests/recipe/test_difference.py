"""How two recipes differ is said value by value."""

from dddm.recipe.write import difference


def test_equal_tables_do_not_differ() -> None:
    """Nothing is said of what is the same."""
    tables = {"name": "a", "train": {"epochs": 2}, "sample": [{"steps": [1]}]}
    assert difference(tables, tables) == []


def test_every_change_is_a_line() -> None:
    """Changed, added and removed values, each by its dotted key."""
    one = {"seed": 0, "train": {"epochs": 60, "shards": 2}, "metric": {"use": "l1"}}
    other = {"seed": 0, "train": {"epochs": 2, "ema": 0.5}, "metric": {"use": "l2"}}
    assert difference(one, other) == [
        "train.epochs: 60 → 2",
        "train.shards: 2 → absent",
        "train.ema: absent → 0.5",
        "metric.use: l1 → l2",
    ]


def test_a_number_of_another_type_is_another_value() -> None:
    """1, 1.0 and true are equal to Python and not to a recipe."""
    assert difference({"a": 1}, {"a": True}) == ["a: 1 → True"]
    assert difference({"a": 1}, {"a": 1.0}) == ["a: 1 → 1.0"]
