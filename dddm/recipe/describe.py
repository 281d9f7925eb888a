"""What a component is and what its options are, for listings and for the schema.  No torch."""

from collections.abc import Mapping
from typing import Any, Final, final

import attrs

from dddm.interfaces.plugin import Kind
from dddm.recipe.options import hints_of
from dddm.recipe.types import describe
from dddm.registry.component import Component

PLACES: Final = {
    Kind.OBJECTIVE: "[objective]",
    Kind.SCHEDULE: "[schedule]",
    Kind.PARAMETRIZATION: "[parametrization]",
    Kind.BACKBONE: "[backbone]",
    Kind.METRIC: "[metric]",
    Kind.TARGET_STORE: "[targets]",
    Kind.OPTIMIZER: "[optimizer]",
    Kind.LEARNING_RATE: "[learning_rate]",
    Kind.DATASET: "[data]",
    Kind.SAMPLER: "[[sample]]",
    Kind.FEATURES: "[evaluate.features]",
    Kind.SCORE: "[[evaluate.scores]]",
    Kind.OBSERVER: "[[observe]]",
}
"""The table of a recipe in which a component of each kind is used."""


@final
@attrs.frozen(kw_only=True)
class OptionInfo:
    """One option, in words.

    Attributes:
        type: what it takes, such as `a whole number`.
        required: whether a recipe must say it.
        default: its value otherwise; None also where the option is left out.
        bounds: such as `above 0, below 1`; empty where there are none.
    """

    name: str
    type: str
    required: bool
    default: Any
    bounds: str
    help: str


def options_of(options: type[Any]) -> tuple[OptionInfo, ...]:
    """The options of an options class, in its order."""
    return tuple(_facts(options, field) for field in attrs.fields(options))


def _facts(options: type[Any], field: "attrs.Attribute[Any]") -> OptionInfo:
    required = field.default is attrs.NOTHING
    return OptionInfo(
        name=field.name,
        type=describe(hints_of(options)[field.name]),
        required=required,
        default=None if required else default_of(field),
        bounds=_in_words(field.metadata["bounds"]),
        help=field.metadata["help"],
    )


def default_of(field: "attrs.Attribute[Any]") -> Any:
    """The default of an option that has one, as TOML holds it: a tuple as a list."""
    default: Any = field.default
    return list(default) if isinstance(default, tuple) else default


def _in_words(bounds: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {bound:g}" for name, bound in bounds.items())


def facts_of(component: Component) -> dict[str, Any]:
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
        "options": [attrs.asdict(option) for option in options_of(component.options)],
        "weights": [attrs.asdict(file) for file in component.weights],
    }
