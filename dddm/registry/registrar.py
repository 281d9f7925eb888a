"""Checks and collects what a plugin registers."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, final, get_type_hints

import attrs

from dddm.errors import PluginError
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import (
    API_VERSION,
    DEFAULT_CONFORMANCE,
    Check,
    Conformance,
    Describe,
    Kind,
    Needs,
    NestedComponent,
    NoOptions,
    Registrar,
    Survey,
    WeightFile,
)
from dddm.registry.component import Component
from dddm.registry.option_types import (
    check_bounds,
    convert,
    is_option_type,
    not_none,
    takes_numbers,
)

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TARGET: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_RESERVED: Final = {Kind.SAMPLER: {"use", "steps", "images", "seed"}}
"""Keys of a component's table in a recipe that are not its options."""


@final
class PluginRegistrar(Registrar):
    """The components of one plugin."""

    def __init__(self, *, plugin: str, package: str, version: str) -> None:
        self.components: list[Component] = []
        self._plugin = plugin
        self._package = package
        self._version = version

    def add(
        self,
        kind: Kind,
        name: str,
        *,
        target: str,
        summary: str,
        options: type[Any] = NoOptions,
        api: tuple[int, int] = (API_VERSION, API_VERSION),
        check: Check | None = None,
        describe: Describe | None = None,
        weights: Iterable[WeightFile] = (),
        needs: Needs | None = None,
        survey: Survey | None = None,
        default: bool = False,
        conformance: Conformance = DEFAULT_CONFORMANCE,
    ) -> None:
        if not isinstance(kind, Kind):
            raise self._malformed(f"{kind!r} is not a Kind", f"write {_kind_meant(kind)}")
        if not is_name(name):
            raise self._malformed(
                f"{name!r} is not a valid name for a {kind.value}", _name_meant(name)
            )
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            raise self._malformed(
                f"the target of {name} is {target!r}, not written as module:Class",
                f"write {_target_meant(target)}",
            )
        if not isinstance(summary, str) or not summary.isprintable() or not summary:
            raise self._malformed(
                f"the summary of {name} is not one line of text", "describe it in one line"
            )
        for called, word in (
            (check, "check"), (describe, "describe"), (needs, "needs"), (survey, "survey"),
        ):  # fmt: skip
            if called is not None and not callable(called):
                raise self._malformed(
                    f"the {word} of {name} is {called!r}, not a function",
                    "pass the function itself",
                )
        weights = tuple(weights)
        if not all(isinstance(file, WeightFile) for file in weights):
            raise self._malformed(
                f"the weights of {name} are not WeightFile objects", "pass one WeightFile a file"
            )
        if not isinstance(conformance, Conformance):
            raise self._malformed(
                f"the conformance of {name} is {conformance!r}", "pass a Conformance"
            )
        self._check_conformance(name, conformance)
        first, last = api
        self._check_api(name, first=first, last=last)
        self._check_options(name, options, reserved=_RESERVED.get(kind, {"use"}))
        if any(c.kind is kind and c.name == name for c in self.components):
            raise self._malformed(
                f"the {kind.value} {name} is registered twice", "register it once"
            )
        self.components.append(
            Component(
                kind=kind,
                name=name,
                namespace=namespace_of(self._plugin),
                target=target,
                options=options,
                summary=summary,
                plugin=self._plugin,
                package=self._package,
                version=self._version,
                api=(first, last),
                check=check,
                describe=describe,
                weights=weights,
                needs=needs,
                survey=survey,
                default=default,
                conformance=conformance,
            )
        )

    def _check_conformance(self, name: str, said: Conformance) -> None:
        # `({...})` without a comma is not a tuple: a likely mistake, so it has its own message.
        for word, value, item, what in (
            ("examples", said.examples, Mapping, "table"),
            ("shapes", said.shapes, ImageShape, "shape"),
        ):
            if isinstance(value, item):
                raise self._malformed(
                    f"the conformance of {name}: {word} is a {what}, not a tuple of {what}s",
                    f"write a tuple of {what}s: (…,), with a comma",
                )
            if not (isinstance(value, tuple | list) and all(isinstance(v, item) for v in value)):
                raise self._malformed(
                    f"the conformance of {name}: {word} is {value!r}", f"write a tuple of {what}s"
                )
        for word in ("lacks", "expected_failures"):
            value = getattr(said, word)
            if not (isinstance(value, Mapping) and all(map(_is_text, [*value, *value.values()]))):
                raise self._malformed(
                    f"the conformance of {name}: {word} is {value!r}",
                    f'give each its reason: {word}={{"name": "the reason"}}',
                )

    def _check_api(self, name: str, *, first: int, last: int) -> None:
        if not first <= API_VERSION <= last:
            raise self._malformed(
                f"{name} supports versions {first} to {last} of the plugin interface, "
                f"and this dddm has version {API_VERSION}",
                f"install a matching release of {self._package} or dddm",
            )

    def _check_options(self, name: str, options: type[Any], *, reserved: set[str]) -> None:
        if not (isinstance(options, type) and attrs.has(options)):
            raise self._malformed(
                f"the options of {name} are not an attrs class", "decorate the class with @frozen"
            )
        hints = get_type_hints(options)
        for field in attrs.fields(options):
            self._check_name_and_making(name, field, reserved=reserved)
            self._check_type(name, field, hints[field.name])
            self._check_default(name, field, hints[field.name])

    def _check_name_and_making(
        self, name: str, field: "attrs.Attribute[Any]", *, reserved: set[str]
    ) -> None:
        if field.name in reserved or field.name.startswith("_"):
            raise self._malformed(
                f"an option of {name} is called {field.name}, which is reserved in recipes",
                "rename it",
            )
        if not ({"help", "bounds"} <= field.metadata.keys()):
            raise self._malformed(
                f"option {field.name} of {name} is not made with option(...)",
                "make every field with dddm.interfaces.plugin.option or nested_component",
            )
        if not isinstance(field.metadata["help"], str):
            raise self._malformed(
                f"the help of option {field.name} of {name} is not text", "describe what it does"
            )

    def _check_type(self, name: str, field: "attrs.Attribute[Any]", hint: Any) -> None:
        bounds = field.metadata["bounds"].values()
        if bounds and not (takes_numbers(hint) and all(map(_is_number, bounds))):
            raise self._malformed(
                f"option {field.name} of {name} has bounds but no numeric type, or other bounds",
                "pass numbers as bounds, and only for int, float, or tuples of them",
            )
        expected = NestedComponent | None if field.default is None else NestedComponent
        if "kind" in field.metadata and hint != expected:
            optional = " | None, because it is optional" if field.default is None else ""
            raise self._malformed(
                f"option {field.name} of {name} is a nested_component(...) with another annotation",
                f"annotate it with dddm.interfaces.plugin.NestedComponent{optional}",
            )
        if "kind" not in field.metadata and not is_option_type(hint):
            raise self._malformed(
                f"option {field.name} of {name} has the type {hint}",
                "use bool, int, float, str, Literal of strings, tuple[T, ...], T | None or "
                "int | Literal of strings",
            )

    def _check_default(self, name: str, field: "attrs.Attribute[Any]", hint: Any) -> None:
        default = field.default
        if default is attrs.NOTHING or isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            return
        known = "kind" in field.metadata or is_option_type(hint)
        if default is None and known and hint != not_none(hint):
            return
        try:
            converted = convert(default, hint)
        except ValueError as error:
            raise self._wrong_default(name, field, hint) from error
        if converted != default:  # a list for a tuple
            raise self._wrong_default(name, field, hint)
        try:
            check_bounds(converted, field.metadata["bounds"])
        except ValueError as error:
            raise self._malformed(
                f"the default of option {field.name} of {name} is out of its bounds: {error}",
                "change the default or the bounds",
            ) from error

    def _wrong_default(self, name: str, field: "attrs.Attribute[Any]", hint: Any) -> PluginError:
        return self._malformed(
            f"option {field.name} of {name} has the default {field.default!r}, which is not of its "
            f"type, {inspect.formatannotation(hint)}",
            "change the default or the annotation",
        )

    def _malformed(self, what: str, remedy: str) -> PluginError:
        return PluginError(
            what, where=f"plugin {self._plugin} of {self._package} {self._version}", remedy=remedy
        )


def namespace_of(plugin: str) -> str:
    """The part of an entry point's name before its first dot."""
    return plugin.partition(".")[0]


def is_name(text: object) -> bool:
    """Whether this is a valid name of a component or namespace."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def _kind_meant(kind: object) -> str:
    """The member with that value, or all members."""
    word = {"loss": Kind.METRIC.value}.get(str(kind).lower(), str(kind).lower().replace("_", "-"))
    members = [member for member in Kind if member.value == word] or list(Kind)
    return " or ".join(f"Kind.{member.name}" for member in members)


def _name_meant(name: object) -> str:
    """`write "far-off"`, for FarOff."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", str(name))
    words = re.findall(r"[a-z0-9]+", apart.lower())
    meant = f'"{"-".join(words)}", ' if isinstance(name, str) and words else ""
    return f"write {meant}lower-case words joined by hyphens"


def _target_meant(target: object) -> str:
    """The target as it should be written, or an example."""
    if isinstance(target, type):
        return f'"{target.__module__}:{target.__qualname__}", as text'
    module, _, name = str(target).rpartition(".")
    meant = f"{module}:{name}"
    return f'"{meant}"' if _TARGET.fullmatch(meant) else 'it as "dddm_mixer.backbone:Mixer"'


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(bound: object) -> bool:
    return type(bound) in {int, float}
