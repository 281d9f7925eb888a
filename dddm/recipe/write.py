"""A recipe as text again."""

from collections.abc import Iterator
from typing import Any

import tomli_w

from dddm.recipe.model import Recipe


def to_toml(recipe: Recipe) -> str:
    """TOML with every default filled in; reading it back gives an equal recipe."""
    return tomli_w.dumps(recipe.tables)


def to_lines(recipe: Recipe) -> Iterator[str]:
    """`train.epochs=60    # digits.toml:31` for each value: as `--set` takes it, and its origin."""
    shown = {key: f"{key}={inline(_at(recipe.tables, key))}" for key in recipe.origins}
    width = min(60, max(map(len, shown.values())))
    for key, origin in recipe.origins.items():
        yield f"{shown[key].ljust(width)}  # {origin}"


def inline(value: Any) -> str:
    """A value, which is no table, as TOML on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def _at(tables: Any, key: str) -> Any:
    """The value at a dotted key, in which arrays are counted."""
    for part in key.split("."):
        tables = tables[int(part) if isinstance(tables, list) else part]
    return tables
