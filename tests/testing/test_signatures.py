"""Methods that cannot be called as an interface says are found, and no others."""

from typing import Any

import pytest

from dddm.testing.signatures import wrong_signatures


class Interface:
    """One method of each manner."""

    def refine(self, cache: Any, *, estimate: int) -> int:
        raise NotImplementedError

    def check(self, shape: int = 3, *, name: str = "") -> None:
        raise NotImplementedError


class Right(Interface):
    """Other names, more arguments with defaults, and whatever else is given."""

    def refine(self, state: Any, *, estimate: int, scale: float = 1.0) -> int:
        return int(estimate * scale)

    def check(self, *given: Any, **named: Any) -> None:
        pass


class Static(Interface):
    """Without an instance."""

    @staticmethod
    def refine(cache: Any, *, estimate: int) -> int:
        return estimate


@pytest.mark.parametrize("kind", [Interface, Right, Static])
def test_what_can_be_called_so_is_right(kind: type[Any]) -> None:
    """Methods that are not there, or more general than they must be, are no mistake."""
    assert list(wrong_signatures(kind, interface=Interface)) == []


class TooFew(Interface):
    """Without the estimate."""

    def refine(self, cache: Any) -> int:  # type: ignore[override]
        raise NotImplementedError


class Renamed(Interface):
    """A keyword of another name."""

    def refine(self, cache: Any, *, guess: int) -> int:  # type: ignore[override]
        raise NotImplementedError


class Wanting(Interface):
    """Asks for what callers may leave out."""

    def check(self, shape: int, *, name: str) -> None:  # type: ignore[override]
        raise NotImplementedError


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (TooFew, "refine is called as refine(cache, *, estimate); yours takes (cache) ("),
        (Renamed, "refine is called as refine(cache, *, estimate); yours takes (cache, *, guess)"),
        (Wanting, "check is called as check(shape=3, *, name=''); yours takes (shape, *, name)"),
    ],
)
def test_what_cannot_be_called_so_is_named(kind: type[Any], says: str) -> None:
    """With the call, the method as it is, and its place."""
    (wrong,) = wrong_signatures(kind, interface=Interface)
    assert wrong.startswith(says)
    assert "test_signatures.py:" in wrong
