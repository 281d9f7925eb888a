"""The types of options: which there are, strict conversion of TOML values to them, and their names.

A type is bool, int, float, str, `Literal` of strings, `tuple[T, ...]` of these, `T | None`, or
`int | Literal` of strings.
"""

import math
import types
from collections.abc import Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin

from dddm.interfaces.plugin import NestedComponent

_LARGEST: Final = 2**63 - 1
_WORDS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    NestedComponent: "a table with use",
}


def not_none(annotation: Any) -> Any:
    """`T` of `T | None`; any other type as it is."""
    if get_origin(annotation) not in {Union, types.UnionType}:
        return annotation
    rest = [part for part in get_args(annotation) if part is not types.NoneType]
    return rest[0] if len(rest) == 1 else annotation


def without_words(annotation: Any) -> tuple[Any, tuple[str, ...]]:
    """`int` and the strings of `int | Literal`; any other type, without None, and no strings."""
    annotation = not_none(annotation)
    inner = get_args(annotation)
    if get_origin(annotation) in {Union, types.UnionType}:
        words = [part for part in inner if get_origin(part) is Literal]
        if int in inner and len(inner) == 1 + len(words):
            return int, tuple(word for part in words for word in get_args(part))
    return annotation, ()


def is_option_type(annotation: Any) -> bool:
    """Whether an option may have this type."""
    annotation, words = without_words(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if not all(isinstance(word, str) for word in words):
        return False
    if origin is tuple:
        return len(inner) == 2 and inner[1] is Ellipsis and is_option_type(inner[0])  # noqa: PLR2004 - (T, ...)
    if origin is Literal:
        return all(isinstance(choice, str) for choice in inner)
    return annotation in {bool, int, float, str}


def takes_numbers(annotation: Any) -> bool:
    """Whether it is int, float, or a tuple of them, so that bounds make sense."""
    annotation, _ = without_words(annotation)
    if get_origin(annotation) is tuple:
        return takes_numbers(get_args(annotation)[0])
    return annotation in {int, float}


def convert(value: Any, annotation: Any) -> Any:
    """`value` as the annotated type: a list becomes a tuple, and an int a float if annotated so.

    Raises:
        ValueError: if it has another type; the message says what was expected.
    """
    expected = annotation
    annotation, words = without_words(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if isinstance(value, str) and value in words:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(convert(item, inner[0]) for item in value)
    if origin is Literal and isinstance(value, str) and value in inner:
        return value
    if isinstance(value, str) and not _is_storable(value):
        raise ValueError("text must be Unicode, without the character NUL")
    if type(value) is int and not -_LARGEST - 1 <= value <= _LARGEST:
        raise ValueError(f"{str(value)[:20]}… does not fit in 64 bits")
    if annotation is float and type(value) in {int, float}:
        if not math.isfinite(value):
            raise ValueError(f"{value} is not finite")
        return float(value)
    if type(value) is annotation:
        return value
    shown = "a table" if isinstance(value, dict) else repr(value)
    if isinstance(value, bool):
        shown = shown.lower()
    raise ValueError(f"expected {describe_type(expected)}, found {shown}")


def _is_storable(text: str) -> bool:
    """Whether a file can hold the text and, if it is a path, can have this name."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half a character; words of a command line that are not UTF-8
        return False


def check_bounds(value: Any, bounds: Mapping[str, float]) -> None:
    """Refuse a number, or a number in a tuple, outside its bounds.

    Raises:
        ValueError: with the bound.
    """
    if isinstance(value, tuple):
        for item in value:
            check_bounds(item, bounds)
        return
    if isinstance(value, str):
        return
    for name, bound in bounds.items():
        inside = {
            "at_least": value >= bound,
            "above": value > bound,
            "at_most": value <= bound,
            "below": value < bound,
        }[name]
        if not inside:
            raise ValueError(f"{value:g} is not {name.replace('_', ' ')} {bound:g}")


def describe_type(annotation: Any, bounds: Mapping[str, float] | None = None) -> str:
    """The type, with its bounds if any: `a number of at least 0 and below 1`."""
    annotation, literals = without_words(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        words = f"a list, each item {describe_type(inner[0])}"
    elif origin is Literal:
        words = "one of " + ", ".join(f'"{choice}"' for choice in inner)
    else:
        words = _WORDS[annotation]
    if bounds:
        limits = describe_bounds(bounds)
        words += (" of " if limits[0].startswith("at") else " ") + " and ".join(limits)
    return " or ".join((words, *(f'"{literal}"' for literal in literals)))


def describe_bounds(bounds: Mapping[str, float]) -> list[str]:
    """`at least 0`, `below 1`."""
    return [f"{name.replace('_', ' ')} {bound:g}" for name, bound in bounds.items()]
