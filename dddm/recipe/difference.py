"""How two recipes differ."""

from collections.abc import Iterator, Mapping
from typing import Any


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
