"""Types are strict: a value is of the annotated type or refused."""

import math
from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dddm.registry.option_types import check_bounds, convert, describe_type

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(plain, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8)
annotations = [
    bool, int, float, str, Literal["a", "b"], int | None, int | Literal["a", "b"],
    tuple[int, ...], tuple[float, ...] | None, tuple[tuple[str, ...], ...],
]  # fmt: skip
SAID = ("not finite", "expected ", "64 bits", "Unicode")


def is_of(value: Any, annotation: Any) -> bool:
    """Whether a converted value has its type, said once more and otherwise."""
    if annotation in {bool, int, float, str}:
        return type(value) is annotation
    if annotation == Literal["a", "b"]:
        return value in {"a", "b"}
    inner = get_args(annotation)
    if Literal["a", "b"] in inner:
        return type(value) is int or value in {"a", "b"}
    if type(None) in inner:
        return is_of(value, inner[0])
    return isinstance(value, tuple) and all(is_of(item, inner[0]) for item in value)


@given(value=values, annotation=st.sampled_from(annotations))
def test_a_value_is_of_its_type_or_refused(value: Any, annotation: Any) -> None:
    """Nothing else comes out, whatever goes in, and a refusal says what was expected."""
    try:
        converted = convert(value, annotation)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
        assert is_of(converted, annotation)
    assert not said or any(word in said for word in SAID)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int),
        (1, bool),
        (3.0, int),
        ("3", int),
        (True, float),
        (3, str),
        (math.nan, float),
        (math.inf, float),
        ([1, math.inf], tuple[float, ...]),
        (["a"], Literal["a"]),
        ("a", tuple[str, ...]),
        ({}, tuple[int, ...]),
    ],
)
def test_nothing_is_guessed(value: Any, annotation: Any) -> None:
    """A bool is no number, 3.0 no count, a word no list, and nothing is infinite."""
    with pytest.raises(ValueError, match=r"expected|finite"):
        convert(value, annotation)


@given(value=st.integers(-(2**53), 2**53))
def test_a_whole_number_serves_as_a_number(value: int) -> None:
    """`rate = 1` means 1.0."""
    assert convert(value, float) == value
    assert isinstance(convert(value, float), float)


def test_a_number_that_nothing_holds_is_refused() -> None:
    """TOML's whole numbers have 64 bits, though its reader takes more."""
    for annotation in (int, float):
        with pytest.raises(ValueError, match="64 bits"):
            convert(10**400, annotation)


@given(value=st.floats(-10, 10), bound=st.integers(-10, 10))
def test_bounds_are_inequalities(value: float, bound: int) -> None:
    """Each of the four holds exactly where its inequality does, for items as for single values."""
    holds = {
        "at_least": value >= bound,
        "above": value > bound,
        "at_most": value <= bound,
        "below": value < bound,
    }
    for name, inside in holds.items():
        for whole in (value, (value,)):
            try:
                check_bounds(whole, {name: bound})
            except ValueError:
                assert not inside
            else:
                assert inside


def test_types_in_words() -> None:
    """Messages name types as a person would."""
    assert describe_type(int | None) == "a whole number"
    assert describe_type(tuple[float, ...]) == "a list, each item a number"
    assert describe_type(Literal["a", "b"]) == 'one of "a", "b"'


def test_a_word_has_no_bounds() -> None:
    """It stands for a number that is found later."""
    check_bounds(convert("auto", int | Literal["auto"]), {"at_least": 1})
    with pytest.raises(ValueError, match=r'expected a whole number or "auto", found \'other\''):
        convert("other", int | Literal["auto"])


@pytest.mark.parametrize(
    ("annotation", "bounds", "words"),
    [
        (float, {"at_least": 0}, "a number of at least 0"),
        (float, {"above": 0, "below": 1}, "a number above 0 and below 1"),
        (tuple[int, ...], {"at_least": 1}, "a list, each item a whole number of at least 1"),
        (int, {}, "a whole number"),
        (int | Literal["auto"], {"at_least": 1}, 'a whole number of at least 1 or "auto"'),
    ],
)
def test_a_type_is_said_with_its_bounds(
    annotation: Any, bounds: dict[str, float], words: str
) -> None:
    """As remedies say what to write."""
    assert describe_type(annotation, bounds) == words
