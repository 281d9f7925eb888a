"""The JSON schema (draft 7) of recipes for what is installed, for editors and other tools.

It checks each value by itself; `dddm check` also finds what concerns several tables.

Its layout suits Taplo, the language server of TOML, which completes from `properties`, ignores a
table that has `allOf` itself, and only reports errors from `if` and `dependencies`.  So a table's
`properties` describe the options of all components that it may use, and `dependencies` of `use`
restrict them to those of the component that is used.
"""

import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final, Literal, final, get_args, get_origin, get_type_hints

import attrs

from dddm.interfaces.measurement import BASELINES
from dddm.interfaces.plugin import Kind
from dddm.recipe.evaluation import preset_names, preset_summaries
from dddm.recipe.layout import COMPONENT_TABLES, DEFAULTS, DURATIONS, FORMAT, OPTIONAL
from dddm.recipe.model import ReportedResult, SampleSettings, TrainSettings
from dddm.recipe.options import default_of
from dddm.recipe.protocol import Protocol
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.registry.option_types import without_words

Schema = dict[str, Any]

_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
_TYPES: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}
_BOUNDS: Final = {
    "at_least": "minimum",
    "above": "exclusiveMinimum",
    "at_most": "maximum",
    "below": "exclusiveMaximum",
}


def schema_of(catalogue: Catalogue) -> Schema:
    """The schema of recipes that use the components of `catalogue`."""
    return _Builder(catalogue).recipe()


@final
class _Builder:
    """Makes schemas of tables of components.

    Args:
        catalogue: of the components.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def recipe(self) -> Schema:
        nested = {
            field.metadata["kind"]
            for component in self.catalogue.components()
            for field in attrs.fields(component.options)
            if "kind" in field.metadata
        }
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "A recipe of dddm",
            "type": "object",
            "properties": self._keys(),
            "additionalProperties": False,
            "if": {"not": {"required": ["extends"]}},
            "then": self._required_tables(),
            # Referred to, because such a component may be nested in itself, to any depth.
            "definitions": {kind.value: self._whole_table(kind) for kind in Kind if kind in nested},
        }

    def _keys(self) -> Schema:
        """All keys of a recipe, and what each may hold."""
        tables = {name: self._component_table(kind) for name, kind in COMPONENT_TABLES.items()}
        for name, default in DEFAULTS.items():
            tables[name]["properties"]["use"]["default"] = default.partition(":")[2]
        keys: Schema = {
            "format": {"description": "The format of recipes.", "const": FORMAT},
            "name": {
                "description": "Also the name of the run's folder; by default that of the file.",
                "type": "string",
                "examples": ["my-digits"],
                "pattern": _NAME,
            },
            "seed": {
                "description": "Seed of all random numbers in training.",
                "type": "integer",
                "minimum": 0,
                "default": 0,
            },
            "requires": {
                "description": 'Packages that the recipe needs, such as "dddm-focal>=1.2".',
                "type": "array",
                "items": {"type": "string"},
                "examples": [["dddm-focal>=1.2"]],
            },
            "extends": {
                "description": "A recipe that this one changes: a file, relative to this one, or "
                "the name of one that comes with dddm.",
                "type": "string",
                "examples": ["base.toml", "digits"],
            },
            **tables,
            "train": {
                "title": "train",
                "description": "How long training takes and in which steps.",
                **_options_table(TrainSettings),
                "not": {"anyOf": [{"required": list(two)} for two in combinations(DURATIONS, 2)]},
            },
            "sample": _array(self._whole_table(Kind.SAMPLER, settings=SampleSettings)),
            "evaluate": self._evaluate(),
            "observe": _array(self._whole_table(Kind.OBSERVER)),
            "reported": {
                "title": "reported",
                "description": "Published results of this recipe; they do not affect the run.",
                **_array({
                    **_options_table(ReportedResult), "required": _required(ReportedResult),
                }),
            },
        }  # fmt: skip
        in_entries = [key for key in keys if key not in {"format", "name", "requires", "extends"}]
        entry = {
            "name": {
                "description": "Of the entry; also the name of its run folder.",
                "type": "string",
                "pattern": _NAME,
            },
            # As in a recipe that extends another, an entry may leave out anything else.
            **{key: {"$ref": f"#/properties/{key}"} for key in in_entries},
        }
        keys["training_seeds"] = {
            "description": "Seeds with each of which every entry of the sweep is trained; results "
            "are means over them.",
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "uniqueItems": True,
            "examples": [[0, 1, 2]],
        }
        keys["sweep"] = {
            "description": "Recipes that each change something of this one.",
            **_array({**_closed_table(entry), "required": ["name"]}),
        }
        return keys

    def _evaluate(self) -> Schema:
        presets = "; ".join(f"{name}: {text}" for name, text in preset_summaries().items())
        scores = [one.name for one in self.catalogue.components(Kind.SCORE) if one.default]
        own = {
            "preset": {
                "description": f"Where values come from that are not given here: {presets}.  Your "
                "own preset is named by its .toml file, relative to this one.",
                "type": "string",
                "anyOf": [{"enum": preset_names()}, {"pattern": r"\.toml$"}],
            },
            "features": {
                "description": "The spaces in which images are compared: a name or a table with "
                "`use`, or several of them in an array.",
                "anyOf": [
                    self._name(Kind.FEATURES),
                    self._component_table(Kind.FEATURES),
                    self._names_or_tables(Kind.FEATURES),
                ],
            },
            "scores": {
                "description": "What is measured, each a name or a table with `use`; the first one "
                "decides which weights are best during training.  By default: "
                + ", ".join(scores)
                + ".",
                **self._names_or_tables(Kind.SCORE),
            },
            "baselines": {
                "description": "Images made without a network that are scored beside the samples: "
                "`true` for all, `false` for none, or the names of some.  By default all, and none "
                "with a protocol.",
                "anyOf": [{"type": "boolean"}, _array({"enum": list(BASELINES)})],
            },
            "protocol": {
                "description": "The conditions under which a score carries its published name.",
                **_options_table(Protocol),
            },
        }
        return {
            "title": "evaluate",
            "description": "How samples are scored.",
            **_closed_table(own),
        }

    def _required_tables(self) -> Schema:
        """What a recipe must contain that extends no other."""
        # What else is left out is chosen, which needs no `use`.
        tables: Schema = {
            name: self._needs(kind, use=name == "data")
            for name, kind in COMPONENT_TABLES.items()
            if name not in OPTIONAL
        }
        for name, default in DEFAULTS.items():
            # Without `use`, the options are those of the default component.
            kind, cases = COMPONENT_TABLES[name], tables[name].get("allOf", [])
            component = next((c for c in self.catalogue.components(kind) if c.id == default), None)
            if component is not None:
                own = self._own_keys(component, self._outline(kind)["properties"], always={})
                cases = [*cases, {"if": {"not": {"required": ["use"]}}, "then": own}]
            tables[name] = {"allOf": cases} if cases else {}
        return {
            "required": ["format", "data"],
            "properties": {
                **tables,
                "evaluate": {
                    "if": {"not": {"required": ["preset"]}},
                    "then": {
                        "properties": {
                            "features": {
                                "if": {"type": "object"},
                                "then": self._needs(Kind.FEATURES),
                            },
                            "protocol": {"required": _required(Protocol)},
                        },
                    },
                },
            },
        }

    def _needs(self, kind: Kind, *, use: bool = True) -> Schema:
        """`use`, and the required options of the component that is used."""
        cases = [
            {"if": self._uses(one), "then": {"required": _required(one.options)}}
            for one in self.catalogue.components(kind)
            if _required(one.options)
        ]
        required = {"required": ["use"]} if use else {}
        return {**required, **({"allOf": cases} if cases else {})}

    def _names_or_tables(self, kind: Kind) -> Schema:
        return {
            **_array({"anyOf": [self._name(kind), self._whole_table(kind)]}),
            "minItems": 1,
        }

    def _whole_table(self, kind: Kind, *, settings: type[Any] | None = None) -> Schema:
        """A table that is complete even in a recipe that extends another: an item of an array."""
        table = self._component_table(kind, settings=settings)
        needs = self._needs(kind)
        if "allOf" in needs:
            table["dependencies"]["use"]["allOf"] += needs["allOf"]
        table["required"] = ["use", *(_required(settings) if settings is not None else [])]
        return table

    def _component_table(self, kind: Kind, *, settings: type[Any] | None = None) -> Schema:
        """A table with `use`, whose other keys follow from it; `settings` are keys in any case."""
        always = {} if settings is None else _options_table(settings)["properties"]
        table = self._outline(kind)
        options = table["properties"]
        table["properties"] = {"use": options["use"], **always, **options}
        cases = [
            {"if": self._uses(one), "then": self._own_keys(one, options, always=always)}
            for one in self.catalogue.components(kind)
        ]
        return table | ({"dependencies": {"use": {"allOf": cases}}} if cases else {})

    def _outline(self, kind: Kind, *, nested: bool = True) -> Schema:
        """A table with `use` and the options of all components of a kind.

        Args:
            kind: of the components.
            nested: whether options that hold a component are among them; an editor would expand a
                component within a component without end.
        """
        names = dict.fromkeys(
            field.name
            for one in self.catalogue.components(kind)
            for field in attrs.fields(one.options)
            if nested or "kind" not in field.metadata
        )
        options = {name: self._option_of_any(kind, name) for name in names}
        return {
            "title": kind.value,
            "description": f"Which {kind.value} is used, and its options.",
            "type": "object",
            "properties": {"use": self._name(kind), **options},
            "x-taplo": {"initKeys": ["use"]},
        }

    def _name(self, kind: Kind) -> Schema:
        """What `use` may be, bare names first; an editor shows the summary of each."""
        summaries = {
            name: one.summary
            for one in self.catalogue.components(kind)
            for name in self._names_of(one)
        }
        names = sorted(summaries, key=lambda name: (":" in name, name))
        return {
            "description": f"The {kind.value}.",
            "enum": names,
            "x-taplo": {"docs": {"enumValues": [summaries[name] for name in names]}},
        }

    def _option_of_any(self, kind: Kind, name: str) -> Schema:
        """An option of one or more components, which its description lists."""
        owners: dict[str, list[str]] = {}
        schemas: dict[str, Schema] = {}
        for component in self.catalogue.components(kind):
            field = attrs.fields_dict(component.options).get(name)
            if field is None:
                continue
            schema = _option(component.options, field)
            if "kind" in field.metadata:
                outline = self._outline(field.metadata["kind"], nested=False)
                schema = outline | {"description": field.metadata["help"]}
            key = json.dumps(schema, sort_keys=True, default=str)
            schemas[key] = schema
            owners.setdefault(key, []).append(self._names_of(component)[0])
        if len(self.catalogue.components(kind)) > 1:
            for key, schema in schemas.items():
                schema["description"] = f"{', '.join(owners[key])}: {schema['description']}"
        found = list(schemas.values())
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _uses(self, component: Component) -> Schema:
        """Whether a table uses this component."""
        return {"properties": {"use": {"enum": self._names_of(component)}}, "required": ["use"]}

    def _own_keys(self, component: Component, options: Schema, *, always: Schema) -> Schema:
        """What may be in a table that uses this component.

        Args:
            component: that is used.
            options: of all components, by name, which the table itself checks.
            always: keys that the table has in any case.
        """
        own = {
            # The table itself accepts what suits any component, and has an outline of nested ones.
            field.name: _option(component.options, field)
            if "anyOf" in options[field.name] or "kind" in field.metadata
            else True
            for field in attrs.fields(component.options)
        }
        return {
            "properties": {"use": True, **dict.fromkeys(always, True), **own},
            "additionalProperties": False,
        }

    def _names_of(self, component: Component) -> list[str]:
        """The full id, and the bare name where it is unique in its kind."""
        same_kind = self.catalogue.components(component.kind)
        unique = sum(one.name == component.name for one in same_kind) == 1
        return [component.name, component.id] if unique else [component.id]


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _closed_table(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _options_table(options: type[Any]) -> Schema:
    """A table of the options of a class, and no other keys."""
    return _closed_table({field.name: _option(options, field) for field in attrs.fields(options)})


def _required(options: type[Any]) -> list[str]:
    return [field.name for field in attrs.fields(options) if field.default is attrs.NOTHING]


def _option(options: type[Any], field: "attrs.Attribute[Any]") -> Schema:
    description = {"description": field.metadata["help"]}
    if "kind" in field.metadata:
        return {**description, "$ref": f"#/definitions/{field.metadata['kind'].value}"}
    hint = get_type_hints(options)[field.name]
    schema = {**description, **_type(hint, field.metadata["bounds"])}
    if field.default is not attrs.NOTHING and field.default is not None:
        schema["default"] = default_of(field)
    return schema


def _type(annotation: Any, bounds: Mapping[str, float]) -> Schema:
    """A type with its bounds, which apply to the items of a tuple."""
    annotation, words = without_words(annotation)
    if words:
        return {"anyOf": [_type(annotation, bounds), {"enum": list(words)}]}
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return _array(_type(inner[0], bounds))
    if origin is Literal:
        return {"enum": list(inner)}
    limits = {_BOUNDS[name]: bound for name, bound in bounds.items()}
    return {"type": _TYPES[annotation], **limits}
