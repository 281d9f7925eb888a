"""What every component promises of its options."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final, get_type_hints

import attrs
import pytest
import tomli_w

from dddm.interfaces.plugin import Issue, Kind
from dddm.recipe.model import plain
from dddm.recipe.schema import schema_of
from dddm.registry.catalogue import Catalogue
from dddm.registry.option_types import check_bounds, convert
from dddm.testing.check import Suite
from dddm.testing.subject import Subject

OPTIONS: Final = Suite("options")

_SHORTEST_HELP: Final = 8


@OPTIONS.check()
def read(subject: Subject) -> None:
    """Its examples, or its defaults if it has none, are valid options in a recipe."""
    try:
        subject.read(subject.table)
    except ValueError as error:
        remedy = "correct the examples in its registration"
        if not subject.table:
            remedy = "register it with options to test: conformance=Conformance(examples=({…},))"
        raise AssertionError(f"{error}: {remedy}") from error


@OPTIONS.check()
def round_trip(subject: Subject) -> None:
    """Options written as TOML and read again are equal to the original."""
    text = tomli_w.dumps(plain(subject.use.options))
    try:
        again = subject.read(tomllib.loads(text)).options
    except ValueError as error:
        raise AssertionError(f"what was written cannot be read: {error}") from error
    assert again == subject.use.options, (
        f"{subject.use.options} became {again}: let the options class keep what it is given, and "
        "compare by value"
    )


@OPTIONS.check(once=True)
def frozen(subject: Subject) -> None:
    """Its options are immutable."""
    options = subject.use.options
    for field in attrs.fields(type(options)):
        try:
            setattr(options, field.name, getattr(options, field.name))
        except attrs.exceptions.FrozenInstanceError:
            continue
        raise AssertionError(f"{field.name} can be assigned to: decorate the class with @frozen")


@OPTIONS.check(once=True)
def defaults(subject: Subject) -> None:
    """Each default is a value of its option's type and within its bounds, not a factory."""
    hints = get_type_hints(subject.component.options)
    for field in attrs.fields(subject.component.options):
        if field.default is attrs.NOTHING or field.default is None:
            continue
        try:
            check_bounds(convert(field.default, hints[field.name]), field.metadata["bounds"])
        except ValueError as error:
            raise AssertionError(f"the default of {field.name}: {error}") from error


@OPTIONS.check(once=True)
def helpful(subject: Subject) -> None:
    """The help of each option is a sentence."""
    for field in attrs.fields(subject.component.options):
        text = field.metadata["help"]
        sentence = len(text) >= _SHORTEST_HELP and text.endswith(".")
        assert sentence, f"the help of {field.name} is {text!r}: write a sentence with a full stop"


@OPTIONS.check()
def schema(subject: Subject) -> None:
    """The JSON schema of recipes accepts its examples and rejects unknown options."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    parts = {use.component.id: use.component for use in subject.use.with_nested()}
    whole = schema_of(Catalogue(parts.values()))
    try:
        json.dumps(whole, allow_nan=False)
        jsonschema.Draft7Validator.check_schema(whole)
    except (ValueError, TypeError, jsonschema.SchemaError) as error:
        raise AssertionError(f"with its options the schema is invalid: {error}") from error
    validator = jsonschema.Draft7Validator(whole)
    for table in (subject.table, plain(subject.use.options)):
        wrong = [error.message for error in validator.iter_errors(_recipe(subject, table))]
        assert not wrong, f"the schema refuses {table}: {'; '.join(wrong)[:300]}"
    odd = _recipe(subject, {**subject.table, "an-option-that-is-not-there": 1})
    assert not validator.is_valid(odd), "the schema accepts an option that it does not have"


def _recipe(subject: Subject, table: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe that extends another one and says only this."""
    kind, used = subject.component.kind, {**table, "use": subject.component.id}
    key, value = {
        Kind.DATASET: ("data", used),
        Kind.TARGET_STORE: ("targets", used),
        Kind.SAMPLER: ("sample", [{**used, "steps": [1]}]),
        Kind.FEATURES: ("evaluate", {"features": used}),
        Kind.SCORE: ("evaluate", {"scores": [used]}),
        Kind.OBSERVER: ("observe", [used]),
    }.get(kind, (kind.value.replace("-", "_"), used))
    return {"extends": "other.toml", key: value}


@OPTIONS.check(basis=True)
def accepted(subject: Subject) -> None:
    """Its own check of options accepts its examples, for images of its shapes."""
    known = {field.name for field in attrs.fields(type(subject.use.options))} | {"use"}
    for shape in subject.shapes:
        for issue in subject.issues(shape):
            assert isinstance(issue, Issue), f"the check yields {issue!r}"
            assert issue.option in known, f"it has no option {issue.option!r}"
            raise AssertionError(
                f"for images of {shape}, {issue.option}: {issue.what}: correct the "
                "examples, or say Conformance(shapes=…) for which it is made"
            )
