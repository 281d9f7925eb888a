"""A check is a small function that tests one promise of an interface.

The promise is the first paragraph of its docstring.  Its name joins the suite's prefix and the
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
        capability: the check is skipped for components that lack it; None if it is required.
        once: run for the first example only.
        basis: if it fails, the other checks of this kind are skipped.
        function: called with each of the `cases`.
        cases: generates arguments of the function from the subject.
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
    """Use the subject as the only argument."""
    yield (subject,)


@final
class Suite:
    """The checks of one kind of component, or of every kind.

    Args:
        prefix: of the checks' names.
        interface: that components implement.
        cases: default of the checks' `cases`.
        capabilities: optional capabilities, each with its meaning.
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
    """Require that `error` is raised inside; `what` names the call."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"{what} was accepted without {error.__name__}")
