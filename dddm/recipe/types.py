"""Strict types: a TOML value becomes what an option's annotation says, or is refused."""

import math
import types
from collections.abc import Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin

from dddm.interfaces.plugin import NestedComponent
from dddm.registry.registrar import broken_bound

_LARGEST: Final = 2**63 - 1
_WORDS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    NestedComponent: "a table with use",
}


def describe(annotation: Any) -> str:
    """The type in words, as messages and listings show it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return " or ".join(describe(part) for part in inner if part is not types.NoneType)
    if origin is tuple:
        return f"a list, each item {describe(inner[0])}"
    if origin is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in inner)
    return _WORDS[annotation]


def describe_bounded(annotation: Any, bounds: Mapping[str, float]) -> str:
    """The type with its bounds: `a number of at least 0 and below 1`."""
    words = [f"{name.replace('_', ' ')} {bound:g}" for name, bound in bounds.items()]
    if not words:
        return describe(annotation)
    joint = " of " if words[0].startswith("at") else " "
    return describe(annotation) + joint + " and ".join(words)


def convert(value: Any, annotation: Any) -> Any:
    """`value` as the annotated type; lists become tuples, whole numbers floats where asked for.

    Raises:
        ValueError: if it is of another type; the message says what was expected.
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        (some,) = (part for part in inner if part is not types.NoneType)
        return convert(value, some)
    if origin is tuple:
        if not isinstance(value, list):
            raise _mismatch(value, annotation)
        return tuple(convert(item, inner[0]) for item in value)
    if origin is Literal:
        if not isinstance(value, str) or value not in inner:
            raise _mismatch(value, annotation)
        return value
    if type(value) is int and not -_LARGEST - 1 <= value <= _LARGEST:
        raise ValueError(f"{str(value)[:20]}… does not fit into 64 bits")
    if annotation is float and type(value) in {int, float}:
        if not math.isfinite(value):
            raise ValueError(f"{value} is not finite")
        return float(value)
    if type(value) is not annotation:
        raise _mismatch(value, annotation)
    return value


def _mismatch(value: Any, annotation: Any) -> ValueError:
    if isinstance(value, dict):
        shown = "a table"
    elif isinstance(value, bool):
        shown = str(value).lower()
    else:
        shown = repr(value)
    return ValueError(f"expected {describe(annotation)}, found {shown}")


def check_bounds(value: Any, bounds: Mapping[str, float]) -> None:
    """Refuse a value, or an item of a tuple, outside its bounds.

    Raises:
        ValueError: with the bound.
    """
    broken = broken_bound(value, bounds)
    if broken is not None:
        raise ValueError(broken)
