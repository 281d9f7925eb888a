"""What every component promises of its options."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final, get_type_hints

import attrs
import tomli_w

from dddm.interfaces.plugin import Issue, Kind
from dddm.recipe.model import ComponentConfig
from dddm.recipe.options import check_bounds, convert, default_of
from dddm.recipe.schema import schema_of
from dddm.registry.catalogue import Catalogue
from dddm.testing.check import ConformanceFailure, Suite, expect
from dddm.testing.subject import LeftOut, Subject

OPTIONS: Final = Suite("options")

_SENTENCE: Final = 8
"""Letters that a sentence has at least."""


@OPTIONS.check()
def read(subject: Subject) -> None:
    """Its examples, or else its defaults, are what a recipe may say of it."""
    try:
        subject.read(subject.table)
    except ValueError as error:
        remedy = "correct conformance=Conformance(examples=…) where it is registered"
        if not subject.table:
            remedy = "declare options to try it with: conformance=Conformance(examples=({…},))"
        raise ConformanceFailure(str(error), remedy=remedy) from error


@OPTIONS.check()
def round_trip(subject: Subject) -> None:
    """Options that were written as TOML and read again are equal to what they were."""
    first = subject.use
    text = tomli_w.dumps(subject.plain_options())
    try:
        second = subject.read(tomllib.loads(text))
    except ValueError as error:
        raise ConformanceFailure(f"what was written cannot be read: {error}") from error
    expect(
        _same(first, second),
        f"{first.options} became {second.options}",
        remedy="let the options class change nothing of what it is given, and compare by value",
    )


def _same(one: ComponentConfig, other: ComponentConfig) -> bool:
    return bool(one.options == other.options)


@OPTIONS.check(once=True)
def frozen(subject: Subject) -> None:
    """Its options cannot be changed once they are checked."""
    options = subject.use.options
    for field in attrs.fields(type(options)):
        try:
            setattr(options, field.name, getattr(options, field.name))
        except attrs.exceptions.FrozenInstanceError:
            continue
        raise ConformanceFailure(
            f"{field.name} can be assigned to", remedy="decorate the options class with @frozen"
        )


@OPTIONS.check(once=True)
def defaults(subject: Subject) -> None:
    """Each default is a value of its option's type and within its bounds, not a factory of one."""
    hints = get_type_hints(subject.component.options)
    for field in attrs.fields(subject.component.options):
        if field.default is attrs.NOTHING or field.default is None:
            continue
        try:
            check_bounds(convert(default_of(field), hints[field.name]), field.metadata["bounds"])
        except ValueError as error:
            raise ConformanceFailure(f"the default of {field.name}: {error}") from error


@OPTIONS.check(once=True)
def helpful(subject: Subject) -> None:
    """Each option says in a sentence what it does."""
    for field in attrs.fields(subject.component.options):
        words = field.metadata["help"]
        expect(
            len(words) >= _SENTENCE and words.endswith("."),
            f"the help of {field.name} is {words!r}",
            remedy="write a sentence with a full stop",
        )


@OPTIONS.check()
def schema(subject: Subject) -> None:
    """The JSON schema of recipes takes its examples, and refuses an option that it has not."""
    try:
        import jsonschema
    except ImportError as error:
        raise LeftOut("jsonschema is not installed: pip install 'dddm[testing]'") from error
    parts = {use.component.id: use.component for use in subject.use.with_nested()}
    whole = schema_of(Catalogue(parts.values()))
    try:
        json.dumps(whole, allow_nan=False)
        jsonschema.Draft7Validator.check_schema(whole)
    except (ValueError, TypeError, jsonschema.SchemaError) as error:
        raise ConformanceFailure(f"with its options the schema is none: {error}") from error
    if _recipe(subject, {}).keys() - whole["properties"]:
        raise LeftOut(f"recipes have no table for a {subject.component.kind.value} yet")
    validator = jsonschema.Draft7Validator(whole)
    for table in (subject.table, subject.plain_options()):
        wrong = [error.message for error in validator.iter_errors(_recipe(subject, table))]
        expect(not wrong, f"the schema refuses {table}: {'; '.join(wrong)[:300]}")
    odd = _recipe(subject, {**subject.table, "an-option-that-is-not-there": 1})
    expect(not validator.is_valid(odd), "the schema takes an option that is not there")


def _recipe(subject: Subject, table: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe that extends another and says of itself only this table."""
    used = {**table, "use": subject.component.id}
    key, value = {
        Kind.DATASET: ("data", used),
        Kind.OBJECTIVE: ("objective", used),
        Kind.SCHEDULE: ("schedule", used),
        Kind.PARAMETRIZATION: ("parametrization", used),
        Kind.BACKBONE: ("backbone", used),
        Kind.METRIC: ("metric", used),
        Kind.TARGET_STORE: ("targets", used),
        Kind.SAMPLER: ("sample", [{**used, "steps": [1]}]),
        Kind.FEATURES: ("evaluate", {"features": used}),
        Kind.SCORE: ("evaluate", {"scores": [used]}),
        Kind.OBSERVER: ("observe", [used]),
        Kind.OPTIMIZER: ("optimizer", used),
        Kind.LEARNING_RATE: ("learning_rate", used),
    }[subject.component.kind]
    return {"extends": "other.toml", key: value}


@OPTIONS.check(basis=True)
def accepted(subject: Subject) -> None:
    """Its own check of options finds nothing wrong with its examples, for images of its shapes."""
    known = {field.name for field in attrs.fields(type(subject.use.options))} | {"use"}
    for shape in subject.shapes:
        for issue in subject.issues(shape):
            if not isinstance(issue, Issue):
                raise ConformanceFailure(f"the check yields {issue!r}, no Issue")
            expect(
                issue.option in known,
                f"it complains of an option {issue.option!r}, which it has not",
            )
            raise ConformanceFailure(
                f"for images of {shape} it complains of {issue.option}: {issue.what}",
                remedy="correct the examples, or say Conformance(shapes=…) for which it is made",
            )
