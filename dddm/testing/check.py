"""What a check is: a small function that tests one promise of an interface.

The promise is the first paragraph of its docstring; its name is the suite's prefix and the
function's name: `metric.symmetric`.  It fails with any exception and skips with `pytest.skip`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

from attrs import frozen

from dddm.testing.subject import Subject

Cases = Callable[[Subject], Iterable[tuple[Any, ...]]]


@final
@frozen(kw_only=True)
class Check:
    """One promise.

    Attributes:
        name: `metric.symmetric`.
        promise: in one sentence.
        capability: a component may lack it, and the check is skipped; None if no component may.
        once: options do not matter, so that only the first example is checked.
        basis: if it fails, the other checks of this kind would only fail for the same reason.
        function: called once with each of the `cases`.
        cases: arguments of the function: the subject itself, or what is made of it.
    """

    name: str
    promise: str
    capability: str | None
    once: bool
    basis: bool
    function: Callable[..., None]
    cases: Cases

    def run(self, subject: Subject) -> None:
        """Test this promise of a component."""
        for case in self.cases(subject):
            self.function(*case)


def whole(subject: Subject) -> Iterator[tuple[Subject]]:
    """One case: the subject."""
    yield (subject,)


@final
class Suite:
    """The checks of one kind of component, or of every kind.

    Args:
        prefix: of the checks' names.
        interface: that a component of this kind implements.
        cases: that its checks get unless they say otherwise.
        capabilities: what a component may lack, each with what it means.
    """

    def __init__(
        self,
        prefix: str,
        *,
        interface: type[Any] = object,
        cases: Cases = whole,
        capabilities: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = prefix
        self.interface = interface
        self.capabilities = dict(capabilities or {})
        self.checks: list[Check] = []
        self._cases = cases

    def check(
        self,
        *,
        capability: str | None = None,
        once: bool = False,
        basis: bool = False,
        cases: Cases | None = None,
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Add a function to this suite."""
        assert capability is None or capability in self.capabilities, capability

        def add(function: Callable[..., None]) -> Callable[..., None]:
            promise = " ".join((function.__doc__ or "").split("\n\n")[0].split())
            self.checks.append(
                Check(
                    name=f"{self.prefix}.{function.__name__.strip('_').replace('_', '-')}",
                    promise=promise,
                    capability=capability,
                    once=once,
                    basis=basis,
                    function=function,
                    cases=cases or self._cases,
                )
            )
            return function

        return add


@contextmanager
def raises(error: type[Exception], what: str) -> Iterator[None]:
    """Fail if `error` is not raised inside; `what` names what was accepted."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"{what} was accepted without {error.__name__}")
