"""The JSON schema (draft 2020-12) of recipes for what is installed, for editors and other tools.

It says all that can be said of each value by itself; what two tables say together, `dddm check`
finds.  A recipe that extends another need not say everything itself.
"""

import types
from collections.abc import Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from dddm.interfaces.plugin import Kind
from dddm.recipe.describe import default_of
from dddm.recipe.model import EvaluateSettings, SampleSettings, TrainSettings
from dddm.recipe.options import hints_of
from dddm.recipe.presets import preset_summaries
from dddm.recipe.read import FORMAT, SINGLE
from dddm.recipe.shipped import preset_names
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.scores.protocol import Protocol

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
_PLAIN: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}
_BOUNDS: Final = {
    "at_least": "minimum",
    "above": "exclusiveMinimum",
    "at_most": "maximum",
    "below": "exclusiveMaximum",
}


def schema_of(catalogue: Catalogue) -> Schema:
    """The schema of recipes that use the components of `catalogue`."""
    return {
        "$schema": _DIALECT,
        "title": "A recipe of dddm",
        "type": "object",
        "properties": _keys(catalogue),
        "additionalProperties": False,
        "if": {"not": {"required": ["extends"]}},
        "then": _needs(catalogue),
        "$defs": {kind.value: _whole_table(catalogue, kind) for kind in _held(catalogue)},
    }


def _held(catalogue: Catalogue) -> list[Kind]:
    """Kinds of component that others hold: these may stand in themselves, to any depth."""
    held = {
        field.metadata["kind"]
        for component in catalogue.components()
        for field in attrs.fields(component.options)
        if "kind" in field.metadata
    }
    return [kind for kind in Kind if kind in held]


def _keys(catalogue: Catalogue) -> Schema:
    """All keys of a recipe, and what each may hold."""
    return {
        "format": {"description": "The format of recipes.", "const": FORMAT},
        "name": {
            "description": "Also the name of the run's folder.",
            "type": "string",
            "pattern": _NAME,
        },
        "seed": {
            "description": "All random numbers of training follow from it.",
            "type": "integer",
            "minimum": 0,
            "default": 0,
        },
        "requires": {
            "description": 'Packages it cannot do without, such as "dddm-focal>=1.2".',
            "type": "array",
            "items": {"type": "string"},
        },
        "extends": {
            "description": "A recipe, relative to this file, that this one changes.",
            "type": "string",
        },
        **{name: _component_table(catalogue, kind) for name, kind in SINGLE.items()},
        "train": _settings_table(TrainSettings),
        "sample": _array_of(catalogue, Kind.SAMPLER, settings=SampleSettings),
        "evaluate": _evaluate(catalogue),
        "observe": _array_of(catalogue, Kind.OBSERVER),
        "sweep": _sweep(),
    }


def _sweep() -> Schema:
    """Entries: any key that may be changed, as it may stand in a recipe that extends another."""
    changed = [*SINGLE, "seed", "train", "sample", "evaluate", "observe"]
    keys = {key: {"$ref": f"#/properties/{key}"} for key in changed}
    name = {
        "description": "Of the entry, also the name of its run folder.",
        "type": "string",
        "pattern": _NAME,
    }
    return {
        "description": "Recipes that each change something of this one.",
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": name, **keys},
            "required": ["name"],
            "additionalProperties": False,
        },
    }


def _needs(catalogue: Catalogue) -> Schema:
    """What a recipe must say that extends no other."""
    tables = {name: _component_needs(catalogue, kind) for name, kind in SINGLE.items()}
    return {
        "required": ["format", "name", *SINGLE, "train"],
        "properties": {
            **tables,
            "train": {"required": _required(TrainSettings)},
            "evaluate": {
                "if": {"not": {"required": ["preset"]}},
                "then": {
                    "required": [*_required(EvaluateSettings), "features"],
                    "properties": {
                        "features": {
                            "if": {"type": "object"},
                            "then": _component_needs(catalogue, Kind.FEATURES),
                        },
                        "protocol": {"required": _required(Protocol)},
                    },
                },
            },
        },
    }


def _component_needs(catalogue: Catalogue, kind: Kind) -> Schema:
    cases = [
        {"if": _uses(catalogue, component), "then": {"required": _required(component.options)}}
        for component in catalogue.components(kind)
        if _required(component.options)
    ]
    return {"required": ["use"], **({"allOf": cases} if cases else {})}


def _required(options: type[Any]) -> list[str]:
    return [field.name for field in attrs.fields(options) if field.default is attrs.NOTHING]


def _evaluate(catalogue: Catalogue) -> Schema:
    table = _settings_table(EvaluateSettings)
    one = {
        "if": {"type": "object"},
        "then": _component_table(catalogue, Kind.FEATURES),
        "else": {"enum": _names(catalogue, Kind.FEATURES)},
    }
    whole = {**one, "then": _whole_table(catalogue, Kind.FEATURES)}
    table["properties"] |= {
        "preset": {
            "description": "Where values come from that do not stand beside it: "
            + "; ".join(f"{name}: {text}" for name, text in preset_summaries().items())
            + ".  One of your own is named by its .toml file, relative to this one.",
            "type": "string",
            "anyOf": [{"enum": preset_names()}, {"pattern": r"\.toml$"}],
        },
        "features": {
            "description": "The spaces in which images are compared: a name or a table with `use`, "
            "or several of them in an array.",
            "if": {"type": "array"},
            "then": {"items": whole, "minItems": 1},
            "else": one,
        },
        "protocol": {
            "description": "On what a score must be taken to be the one that others publish.",
            **_settings_table(Protocol),
        },
    }
    return table


def _array_of(catalogue: Catalogue, kind: Kind, *, settings: type[Any] | None = None) -> Schema:
    """Tables with `use`; as arrays are replaced whole, each must be whole even where it extends."""
    return {"type": "array", "items": _whole_table(catalogue, kind, settings=settings)}


def _whole_table(catalogue: Catalogue, kind: Kind, *, settings: type[Any] | None = None) -> Schema:
    """A table with `use` that says all that its component needs."""
    table = _component_table(catalogue, kind, settings=settings)
    needs = _component_needs(catalogue, kind)
    table["allOf"] = table.get("allOf", []) + needs.get("allOf", [])
    if not table["allOf"]:
        del table["allOf"]  # JSON schema allows no empty one
    table["required"] = ["use", *(_required(settings) if settings is not None else [])]
    return table


def _component_table(
    catalogue: Catalogue, kind: Kind, *, settings: type[Any] | None = None
) -> Schema:
    """A table with `use`, whose other keys follow from it; `settings` are keys in any case."""
    cases = [
        {"if": _uses(catalogue, component), "then": _own_keys(component, settings)}
        for component in catalogue.components(kind)
    ]
    return {
        "description": f"Which {kind.value} is used, and its options.",
        "type": "object",
        "properties": {
            "use": {"description": f"The {kind.value}.", "enum": _names(catalogue, kind)}
        },
        **({"allOf": cases} if cases else {}),
    }


def _uses(catalogue: Catalogue, component: Component) -> Schema:
    """Whether a table uses this component."""
    names = _names_of(catalogue, component)
    return {"properties": {"use": {"enum": names}}, "required": ["use"]}


def _own_keys(component: Component, settings: type[Any] | None) -> Schema:
    """What may stand in a table that uses this component."""
    own = _settings_table(component.options)
    if settings is not None:
        own["properties"] |= _settings_table(settings)["properties"]
    own["description"] = component.summary
    own["properties"] = {"use": True} | own["properties"]
    return own


def _names(catalogue: Catalogue, kind: Kind) -> list[str]:
    """All names that `use` may have, bare ones first."""
    names = [
        name for component in catalogue.components(kind) for name in _names_of(catalogue, component)
    ]
    return sorted(names, key=lambda name: (":" in name, name))


def _names_of(catalogue: Catalogue, component: Component) -> list[str]:
    """The full id, and the bare name where it is unique in its kind."""
    alike = [c for c in catalogue.components(component.kind) if c.name == component.name]
    return [component.name, component.id] if len(alike) == 1 else [component.id]


def _settings_table(options: type[Any]) -> Schema:
    """A table of the options of a class, and no other keys."""
    return {
        "type": "object",
        "properties": {field.name: _option(options, field) for field in attrs.fields(options)},
        "additionalProperties": False,
    }


def _option(options: type[Any], field: "attrs.Attribute[Any]") -> Schema:
    if "kind" in field.metadata:
        kind: Kind = field.metadata["kind"]
        return {"description": field.metadata["help"], "$ref": f"#/$defs/{kind.value}"}
    schema = {
        "description": field.metadata["help"],
        **_type(hints_of(options)[field.name], field.metadata["bounds"]),
    }
    if field.default is not attrs.NOTHING and field.default is not None:
        schema["default"] = default_of(field)
    return schema


def _type(annotation: Any, bounds: Mapping[str, float]) -> Schema:
    """A type with its bounds, which hold for the items of a tuple."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        (some,) = (part for part in inner if part is not types.NoneType)
        return _type(some, bounds)
    if origin is tuple:
        return {"type": "array", "items": _type(inner[0], bounds)}
    if origin is Literal:
        return {"enum": list(inner)}
    return {
        "type": _PLAIN[annotation],
        **{_BOUNDS[name]: bound for name, bound in bounds.items()},
    }
