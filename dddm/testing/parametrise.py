"""The kit as tests of pytest: one for each check and example."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from dddm.errors import EnvironmentProblem
from dddm.interfaces.plugin import Kind
from dddm.registry.catalogue import Catalogue
from dddm.testing.check import Check, ConformanceFailure
from dddm.testing.report import Outcome
from dddm.testing.run import attempt, pairs_of
from dddm.testing.subject import Subject

if TYPE_CHECKING:
    import pytest


_ID_LETTERS = 60


@final
class Trial:
    """One check with one subject; a test calls it."""

    def __init__(self, check: Check, subject: Subject) -> None:
        self._check = check
        self._subject = subject

    def __call__(self) -> None:
        """Try it: skips what the component lacks, and is strict about expected failures.

        Raises:
            ConformanceFailure: if the promise is broken, or is kept and was declared not to be.
        """
        import pytest

        __tracebackhide__ = True
        result = attempt(self._check, self._subject)
        if result.outcome is Outcome.LEFT_OUT:
            pytest.skip(result.detail)
        if result.outcome is Outcome.EXPECTED:
            pytest.xfail(result.detail)
        if not result.outcome.ok:
            # What led to it is shown first, with the component's own lines.
            raise ConformanceFailure(str(result)) from result.error

    def __repr__(self) -> str:
        return f"{self._check.name} of {self._subject.component.id}, {self._subject.label}"


def conformance(
    *names: str,
    kind: Kind | str | None = None,
    examples: Sequence[Mapping[str, Any]] | None = None,
    checks: Iterable[str] | None = None,
    catalogue: Catalogue | None = None,
) -> "pytest.MarkDecorator":
    """Parametrise a test with all checks of components, as its argument `check`.

    Args:
        names: as for `dddm.testing.examine`, and likewise the others.
        kind: see there.
        examples: see there.
        checks: see there.
        catalogue: see there.

    Raises:
        PluginError: as `examine` does, when the tests are collected.
        EnvironmentProblem: if pytest is not installed.
    """
    try:
        import pytest
    except ImportError as error:
        raise EnvironmentProblem(
            "`conformance` makes tests of pytest, which is not installed",
            remedy="pip install 'dddm[testing]', or call dddm.testing.examine",
        ) from error
    pairs = pairs_of(*names, kind=kind, examples=examples, checks=checks, catalogue=catalogue)
    return pytest.mark.parametrize(
        "check",
        [Trial(check, subject) for check, subject in pairs],
        ids=[
            f"{check.name}-{subject.component.name}-{_short(subject.label)}"
            for check, subject in pairs
        ],
    )


def _short(label: str) -> str:
    """For the name of a test."""
    return label if len(label) <= _ID_LETTERS else label[: _ID_LETTERS - 1] + "…"
