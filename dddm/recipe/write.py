"""A recipe as text again."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import tomli_w

from dddm.recipe.locate import locate
from dddm.recipe.model import Recipe
from dddm.recipe.sweep import Entry

_COLUMNS: Final = 100
_ARRAY: Final = re.compile(r"^(\S+ = )\[\n((?: {4}[^\s\[{].*,\n)+)\]$", re.MULTILINE)
"""As tomli_w writes it: an item a line, none of them an array or a table."""


def to_toml(
    recipe: Recipe, *, entries: Sequence[Entry] = (), training_seeds: Sequence[int] = ()
) -> str:
    """TOML with every default filled in; reading it back gives an equal recipe.

    Args:
        entries: of its sweep, which are written as they were.
        training_seeds: of its sweep.
    """
    sweep = [{"name": entry.name, **entry.changes} for entry in entries]
    text = tomli_w.dumps(
        {
            **recipe.tables,
            **({"training_seeds": list(training_seeds)} if training_seeds else {}),
            **({"sweep": sweep} if sweep else {}),
        }
    )
    return _ARRAY.sub(_on_one_line, text)


def _on_one_line(array: re.Match[str]) -> str:
    """An array of numbers or words, if it fits."""
    items = ", ".join(line.strip().removesuffix(",") for line in array[2].splitlines())
    line = f"{array[1]}[{items}]"
    return line if len(line) <= _COLUMNS else array[0]


def with_reasons(text: str, recipe: Recipe) -> str:
    """The text of `to_toml`, with a comment at each value that was chosen, which says why."""
    lines = text.split("\n")
    for path, place in locate(text).items():
        origin = recipe.origins.get(".".join(map(str, path)), "default")
        line = text.count("\n", 0, place.key_start)
        if origin.startswith("default") and origin != "default" and "  # " not in lines[line]:
            lines[line] += f"  # {origin}"
    return "\n".join(lines)


def sweep_to_lines(
    entries: Sequence[Entry], *, training_seeds: Sequence[int] = ()
) -> Iterator[str]:
    """`sweep.0.metric.use="l1"` for each value, as `--set` takes it."""
    if training_seeds:
        yield f"training_seeds={inline(list(training_seeds))}"
    for index, entry in enumerate(entries):
        yield f"sweep.{index}.name={inline(entry.name)}"
        for line in changes_to_lines(entry.changes):
            yield f"sweep.{index}.{line}"


def changes_to_lines(value: Any, key: str = "") -> Iterator[str]:
    """`metric.use="l1"` for each value of tables, in which arrays of tables are counted."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        items = list(enumerate(value))
    elif key:
        yield f"{key}={inline(value)}"
    for name, item in items:
        yield from changes_to_lines(item, f"{key}.{name}" if key else str(name))


def to_lines(recipe: Recipe) -> Iterator[str]:
    """`train.epochs=60    # digits.toml:31` for each value: as `--set` takes it, and its origin."""
    shown = {key: f"{key}={inline(_at(recipe.tables, key))}" for key in recipe.origins}
    width = min(60, max(map(len, shown.values())))
    for key, origin in recipe.origins.items():
        yield f"{shown[key].ljust(width)}  # {origin}"


def inline(value: Any) -> str:
    """A value as TOML on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        items = (f"{key} = {inline(item)}" for key, item in value.items())
        return f"{{ {', '.join(items)} }}"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def _at(tables: Any, key: str) -> Any:
    """The value at a dotted key, in which arrays are counted."""
    for part in key.split("."):
        tables = tables[int(part) if isinstance(tables, list) else part]
    return tables


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """One line for each value that differs: `train.epochs: 60 → 2`."""
    return list(_lines(one, other, ""))


def _lines(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key in dict.fromkeys([*one, *other]):
        here = f"{prefix}{key}"
        before, after = one.get(key), other.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _lines(before, after, f"{here}.")
        elif before != after or type(before) is not type(after):
            yield f"{here}: {_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)
