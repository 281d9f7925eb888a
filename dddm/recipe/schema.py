"""The JSON schema (draft 7) of recipes for what is installed, for editors and other tools.

It says all that can be said of each value by itself; what two tables say together, `dddm check`
finds.  A recipe that extends another need not say everything itself.

Draft 7, and its layout, are what Taplo completes from, the language server of TOML: it offers what
stands in `properties`, passes over a table that has `allOf` itself, and does not look into
`if` and `dependencies`, from which it only reports errors.  So a table's `properties` describe the
options of all components that may be used in it, and what depends on `use` says which are whose.
"""

import json
import types
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from dddm.interfaces.plugin import Kind
from dddm.recipe.layout import COMPONENT_TABLES, DEFAULTS, DURATIONS, FORMAT, OPTIONAL
from dddm.recipe.model import ReportedResult, SampleSettings, TrainSettings
from dddm.recipe.options import default_of
from dddm.recipe.presets import preset_summaries
from dddm.recipe.protocol import Protocol
from dddm.recipe.source import preset_names
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component

Schema = dict[str, Any]

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
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
        "definitions": {kind.value: _whole_table(catalogue, kind) for kind in _held(catalogue)},
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
            "examples": ["my-digits"],
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
            "examples": [["dddm-focal>=1.2"]],
        },
        "extends": {
            "description": "A recipe that this one changes: a file, relative to this one, or the "
            "name of one that comes with dddm.",
            "type": "string",
            "examples": ["base.toml", "digits"],
        },
        **{name: _single(catalogue, name) for name in COMPONENT_TABLES},
        "train": {
            "title": "train",
            "description": "How long training takes and in which steps.",
            **_settings_table(TrainSettings),
            "not": {"anyOf": [{"required": list(two)} for two in combinations(DURATIONS, 2)]},
        },
        "sample": _array_of(catalogue, Kind.SAMPLER, settings=SampleSettings),
        "evaluate": _evaluate(catalogue),
        "observe": _array_of(catalogue, Kind.OBSERVER),
        "reported": {
            "title": "reported",
            "description": "Published results of this configuration; they do not affect the run.",
            "type": "array",
            "items": {**_settings_table(ReportedResult), "required": _required(ReportedResult)},
        },
        "sweep": _sweep(),
    }


def _single(catalogue: Catalogue, name: str) -> Schema:
    """A table of one component; it says which is the default, where there is one."""
    table = _component_table(catalogue, COMPONENT_TABLES[name])
    if name in DEFAULTS:
        table["properties"]["use"]["default"] = DEFAULTS[name].partition(":")[2]
    return table


def _sweep() -> Schema:
    """Entries: any key that may be changed, as it may stand in a recipe that extends another."""
    changed = [*COMPONENT_TABLES, "seed", "train", "sample", "evaluate", "observe", "reported"]
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
    asked = [name for name in COMPONENT_TABLES if name not in {*DEFAULTS, *OPTIONAL}]
    tables = {name: _component_needs(catalogue, COMPONENT_TABLES[name]) for name in asked}
    return {
        # Only an objective that uses no metric does without one: `dddm check` knows which do.
        "required": ["format", "name", *(name for name in asked if name != "metric"), "train"],
        "properties": {
            **tables,
            **{name: _default_needs(catalogue, name) for name in DEFAULTS},
            "train": {
                "required": _required(TrainSettings),
                "anyOf": [{"required": [name]} for name in DURATIONS],
            },
            "evaluate": {
                "if": {"not": {"required": ["preset"]}},
                "then": {
                    "required": ["features"],
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


def _default_needs(catalogue: Catalogue, name: str) -> Schema:
    """What a table must say, and may say without `use`: options of the default."""
    kind = COMPONENT_TABLES[name]
    cases = _component_needs(catalogue, kind).get("allOf", [])
    default = next((c for c in catalogue.components(kind) if c.id == DEFAULTS[name]), None)
    if default is not None:
        own = _own_keys(default, _outline(catalogue, kind)["properties"], always={})
        cases = [*cases, {"if": {"not": {"required": ["use"]}}, "then": own}]
    return {"allOf": cases} if cases else {}


def _required(options: type[Any]) -> list[str]:
    return [field.name for field in attrs.fields(options) if field.default is attrs.NOTHING]


def _evaluate(catalogue: Catalogue) -> Schema:
    name = _name(catalogue, Kind.FEATURES)
    own = {
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
            "anyOf": [
                name,
                _component_table(catalogue, Kind.FEATURES),
                _names_or_tables(catalogue, Kind.FEATURES),
            ],
        },
        "scores": {
            "description": "What is measured, each a name or a table with `use`; the first decides "
            "where one number must, as during training.  Without it: "
            + ", ".join(one.name for one in catalogue.components(Kind.SCORE) if one.default)
            + ".",
            **_names_or_tables(catalogue, Kind.SCORE),
        },
        "protocol": {
            "description": "On what a score must be taken to be the one that others publish.",
            **_settings_table(Protocol),
        },
    }
    return {
        "title": "evaluate",
        "description": "How samples are scored.",
        "type": "object",
        "properties": own,
        "additionalProperties": False,
    }


def _names_or_tables(catalogue: Catalogue, kind: Kind) -> Schema:
    """An array of components, each a name or a table with `use`."""
    return {
        "type": "array",
        "items": {"anyOf": [_name(catalogue, kind), _whole_table(catalogue, kind)]},
        "minItems": 1,
    }


def _array_of(catalogue: Catalogue, kind: Kind, *, settings: type[Any] | None = None) -> Schema:
    """Tables with `use`; as arrays are replaced whole, each must be whole even where it extends."""
    return {"type": "array", "items": _whole_table(catalogue, kind, settings=settings)}


def _whole_table(catalogue: Catalogue, kind: Kind, *, settings: type[Any] | None = None) -> Schema:
    """A table with `use` that says all that its component needs."""
    table = _component_table(catalogue, kind, settings=settings)
    needs = _component_needs(catalogue, kind)
    if "allOf" in needs:
        table["dependencies"]["use"]["allOf"] += needs["allOf"]
    table["required"] = ["use", *(_required(settings) if settings is not None else [])]
    return table


def _component_table(
    catalogue: Catalogue, kind: Kind, *, settings: type[Any] | None = None
) -> Schema:
    """A table with `use`, whose other keys follow from it; `settings` are keys in any case."""
    every = {} if settings is None else _settings_table(settings)["properties"]
    table = _outline(catalogue, kind)
    options = table["properties"]
    table["properties"] = {"use": options["use"], **every, **options}
    cases = [
        {"if": _uses(catalogue, one), "then": _own_keys(one, options, always=every)}
        for one in catalogue.components(kind)
    ]
    return table | ({"dependencies": {"use": {"allOf": cases}}} if cases else {})


def _outline(catalogue: Catalogue, kind: Kind, *, parts: bool = True) -> Schema:
    """A table with `use`, and the options of all components that it may use.

    Args:
        catalogue: of the components.
        kind: of component.
        parts: whether those that hold a component are among them; an editor would expand a
            component within a component without end.
    """
    names = dict.fromkeys(
        field.name
        for one in catalogue.components(kind)
        for field in attrs.fields(one.options)
        if parts or "kind" not in field.metadata
    )
    options = {name: _option_of_any(catalogue, kind, name) for name in names}
    return {
        "title": kind.value,
        "description": f"Which {kind.value} is used, and its options.",
        "type": "object",
        "properties": {"use": _name(catalogue, kind), **options},
        "x-taplo": {"initKeys": ["use"]},
    }


def _name(catalogue: Catalogue, kind: Kind) -> Schema:
    """What `use` may be; an editor shows the summary of each."""
    names = _names(catalogue, kind)
    summaries = [catalogue.find(kind, name).summary for name in names]
    return {
        "description": f"The {kind.value}.",
        "enum": names,
        "x-taplo": {"docs": {"enumValues": summaries}},
    }


def _option_of_any(catalogue: Catalogue, kind: Kind, name: str) -> Schema:
    """An option as it may be whichever component is used; it says whose it is."""
    owners: dict[str, list[str]] = {}
    schemas: dict[str, Schema] = {}
    for component in catalogue.components(kind):
        field = getattr(attrs.fields(component.options), name, None)
        if field is not None:
            held = field.metadata.get("kind")
            schema = (
                _option(component.options, field)
                if held is None
                else _outline(catalogue, held, parts=False)
                | {"description": field.metadata["help"]}
            )
            key = json.dumps(schema, sort_keys=True, default=str)
            schemas[key] = schema
            owners.setdefault(key, []).append(_names_of(catalogue, component)[0])
    several = len(catalogue.components(kind)) > 1
    found = [
        schema | {"description": f"{', '.join(owners[key])}: {schema['description']}"}
        if several
        else schema
        for key, schema in schemas.items()
    ]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _uses(catalogue: Catalogue, component: Component) -> Schema:
    """Whether a table uses this component."""
    names = _names_of(catalogue, component)
    return {"properties": {"use": {"enum": names}}, "required": ["use"]}


def _own_keys(component: Component, options: Schema, *, always: Schema) -> Schema:
    """What may stand in a table that uses this component.

    Args:
        component: that is used.
        options: of all components, by name, which the table itself checks.
        always: keys that the table has in any case.
    """
    own = {
        # The table itself takes what suits any of several, and knows a held component in outline.
        field.name: _option(component.options, field)
        if "anyOf" in options[field.name] or "kind" in field.metadata
        else True
        for field in attrs.fields(component.options)
    }
    return {
        "properties": {"use": True, **dict.fromkeys(always, True), **own},
        "additionalProperties": False,
    }


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
        return {"description": field.metadata["help"], "$ref": f"#/definitions/{kind.value}"}
    schema = {
        "description": field.metadata["help"],
        **_type(get_type_hints(options)[field.name], field.metadata["bounds"]),
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
