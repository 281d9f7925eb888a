"""Options: strict conversion of TOML values to the annotated type, and their description."""

import math
import types
from collections.abc import Mapping
from typing import Any, Final, Literal, Union, final, get_args, get_origin, get_type_hints

import attrs

from dddm.interfaces.plugin import NestedComponent
from dddm.recipe.layout import PLACES
from dddm.registry.component import Component
from dddm.registry.registrar import broken_bound

_LARGEST: Final = 2**63 - 1
_WORDS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    NestedComponent: "a table with use",
}


@final
@attrs.frozen(kw_only=True)
class OptionInfo:
    """One option in words.

    Attributes:
        type: what it takes, such as `a whole number`.
        required: whether a recipe must set it.
        default: as TOML holds it; None if it is required or absent by default.
        bounds: such as `above 0, below 1`; empty without bounds.
    """

    name: str
    type: str
    required: bool
    default: Any
    bounds: str
    help: str


def describe_options(options: type[Any]) -> tuple[OptionInfo, ...]:
    """The options of an options class, in its order."""
    hints = get_type_hints(options)
    return tuple(
        OptionInfo(
            name=field.name,
            type=describe(hints[field.name]),
            required=field.default is attrs.NOTHING,
            default=None if field.default is attrs.NOTHING else default_of(field),
            bounds=", ".join(_bound_words(field.metadata["bounds"])),
            help=field.metadata["help"],
        )
        for field in attrs.fields(options)
    )


def describe_component(component: Component) -> dict[str, Any]:
    """A component as plain values, for JSON."""
    return {
        "id": component.id,
        "kind": component.kind.value,
        "summary": component.summary,
        "table": PLACES[component.kind],
        "plugin": component.plugin,
        "package": component.package,
        "version": component.version,
        "api": list(component.api),
        "target": component.target,
        "default": component.default,
        "options": [attrs.asdict(option) for option in describe_options(component.options)],
        "weights": [attrs.asdict(file) for file in component.weights],
    }


def default_of(field: "attrs.Attribute[Any]") -> Any:
    """The default of an option that has one, as TOML holds it: a tuple as a list."""
    default: Any = field.default
    return list(default) if isinstance(default, tuple) else default


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
    words = _bound_words(bounds)
    if not words:
        return describe(annotation)
    joint = " of " if words[0].startswith("at") else " "
    return describe(annotation) + joint + " and ".join(words)


def _bound_words(bounds: Mapping[str, float]) -> list[str]:
    return [f"{name.replace('_', ' ')} {bound:g}" for name, bound in bounds.items()]


def convert(value: Any, annotation: Any) -> Any:
    """`value` as the annotated type: a list becomes a tuple, and an int a float if annotated so.

    Raises:
        ValueError: if it has another type; the message says what was expected.
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
        raise ValueError(f"{str(value)[:20]}… does not fit in 64 bits")
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
