"""Options and components in words, for listings and the reference."""

from typing import Any, final, get_type_hints

import attrs

from dddm.recipe.layout import PLACES
from dddm.registry.component import Component
from dddm.registry.option_types import describe_bounds, describe_type


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
            type=describe_type(hints[field.name]),
            required=field.default is attrs.NOTHING,
            default=None if field.default is attrs.NOTHING else default_of(field),
            bounds=", ".join(describe_bounds(field.metadata["bounds"])),
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
