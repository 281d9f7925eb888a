"""What a check is: one promise of an interface, and a small function that tries it.

A check's promise is its docstring's first paragraph; its name is its suite's prefix and its
function's name, `metric.zero-at-equality`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import final

from attrs import frozen

from dddm.testing.subject import Subject

Try = Callable[[Subject], None]


@final
class ConformanceFailure(AssertionError):
    """A component does not do what its interface promises.

    Args:
        seen: what it did.
        remedy: what to change; None where what was seen says it.
    """

    def __init__(self, seen: str, *, remedy: str | None = None) -> None:
        super().__init__(seen if remedy is None else f"{seen}\n  try: {remedy}")
        self.seen = seen
        self.remedy = remedy


@final
@frozen(kw_only=True)
class Check:
    """One promise.

    Attributes:
        name: `metric.symmetric`.
        promise: in one sentence.
        capability: without which the promise is not made; None where every component makes it.
        once: whether options do not bear on it, so that it is tried with the first example alone.
        basis: whether nothing of its kind can be tried with an example for which it fails.
        function: tries it; raises `ConformanceFailure`, or `LeftOut` where it cannot be tried.
    """

    name: str
    promise: str
    capability: str | None
    once: bool
    basis: bool
    function: Try


@final
class Suite:
    """The checks of one kind of component, or of all kinds.

    Args:
        prefix: of the checks' names.
        capabilities: what a component may lack, each with what it means.
    """

    def __init__(self, prefix: str, *, capabilities: Mapping[str, str] | None = None) -> None:
        self.prefix = prefix
        self.capabilities = dict(capabilities or {})
        self.checks: list[Check] = []

    def check(
        self, *, capability: str | None = None, once: bool = False, basis: bool = False
    ) -> Callable[[Try], Try]:
        """Make a function a check of this suite."""
        assert capability is None or capability in self.capabilities, capability

        def add(function: Try) -> Try:
            words = (function.__doc__ or "").split("\n\n")[0]
            self.checks.append(
                Check(
                    name=f"{self.prefix}.{function.__name__.replace('_', '-')}",
                    promise=" ".join(words.split()),
                    capability=capability,
                    once=once,
                    basis=basis,
                    function=function,
                )
            )
            return function

        return add


def expect(kept: bool, seen: str, *, remedy: str | None = None) -> None:  # noqa: FBT001 - it reads as an assertion
    """Raise `ConformanceFailure` unless a promise was kept."""
    if not kept:
        raise ConformanceFailure(seen, remedy=remedy)


@contextmanager
def expecting(
    error: type[Exception], *, otherwise: str, remedy: str | None = None
) -> Iterator[None]:
    """Expect that `error` is raised inside; another error is a failure too.

    Args:
        error: that is promised.
        otherwise: what was seen where nothing is raised.
        remedy: what to change.
    """
    try:
        yield
    except error:
        return
    except Exception as other:
        raise ConformanceFailure(
            f"{other!r} was raised instead of {error.__name__}", remedy=remedy
        ) from other
    raise ConformanceFailure(otherwise, remedy=remedy)
