"""A name that has changed is known for a while, and says what stands in its place."""

import sys
import types
import warnings
from collections.abc import Iterator

import pytest

from dddm.interfaces import facts
from dddm.interfaces.deprecation import ChangedName, changed_names


@pytest.fixture
def planted() -> Iterator[types.ModuleType]:
    """A module with two names that have changed: one within it, one that has moved elsewhere."""
    module = types.ModuleType("names_of_old")
    module.New = "new"  # type: ignore[attr-defined]
    module.__getattr__ = changed_names(  # type: ignore[method-assign]
        "names_of_old",
        {
            "Old": ChangedName(instead="New", gone_in="0.4"),
            "Moved": ChangedName(instead="dddm.interfaces.facts:ImageShape", gone_in="0.5"),
        },
    )
    sys.modules["names_of_old"] = module
    yield module
    del sys.modules["names_of_old"]


def test_an_old_name_warns_with_the_new_one_and_the_release(planted: types.ModuleType) -> None:
    """And gives what stands in its place; the warning points at who used it."""
    words = r"^names_of_old\.Old is deprecated: use names_of_old\.New; dddm 0\.4 no longer has it$"
    with pytest.warns(DeprecationWarning, match=words) as caught:
        assert planted.Old == "new"
    assert [one.filename for one in caught] == [__file__]
    with pytest.warns(DeprecationWarning, match=words):
        from names_of_old import Old  # type: ignore[import-not-found]
    assert Old == "new"


def test_a_name_that_moved_is_found_where_it_is(planted: types.ModuleType) -> None:
    """The new place is named in full."""
    with pytest.warns(DeprecationWarning, match=r"use dddm\.interfaces\.facts\.ImageShape"):
        assert planted.Moved is facts.ImageShape


def test_other_names_are_as_before(planted: types.ModuleType) -> None:
    """New names do not warn, and one that never was is an AttributeError."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert planted.New == "new"
        with pytest.raises(AttributeError, match="module 'names_of_old' has no attribute 'Never'"):
            _ = planted.Never
