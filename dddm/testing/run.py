"""Tries checks on components, each from a known state of torch, and says what came of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from dddm.errors import DddmError, PluginError
from dddm.interfaces.plugin import Kind
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.registry.loader import load_catalogue
from dddm.testing.check import Check, ConformanceFailure
from dddm.testing.every_check import COMMON, capabilities_of, checks_of
from dddm.testing.place import place_in
from dddm.testing.report import Outcome, Report, Result
from dddm.testing.subject import LeftOut, Subject, find_components, subjects_of
from dddm.testing.torch_state import restore_torch, torch_state


def examine(
    *names: str,
    kind: Kind | str | None = None,
    examples: Sequence[Mapping[str, Any]] | None = None,
    checks: Iterable[str] | None = None,
    catalogue: Catalogue | None = None,
) -> Report:
    """Try every promise of components.

    Args:
        names: ids or names of components, or namespaces or distributions, for all of theirs.
        kind: of the components, where a name is ambiguous.
        examples: options instead of those that the registration declares, each a table as a recipe
            writes it, for instance with paths that are there on this machine alone.
        checks: names of the checks to try; all without them.
        catalogue: in which to look; that of what is installed without it.

    Raises:
        PluginError: if there is no such component or check, or a registration says of the
            component what no check knows.
    """
    pairs = pairs_of(*names, kind=kind, examples=examples, checks=checks, catalogue=catalogue)
    return Report(results=[attempt(check, subject) for check, subject in pairs])


def pairs_of(
    *names: str,
    kind: Kind | str | None = None,
    examples: Sequence[Mapping[str, Any]] | None = None,
    checks: Iterable[str] | None = None,
    catalogue: Catalogue | None = None,
) -> list[tuple[Check, Subject]]:
    """Every check with every subject that it is tried on, component by component; see `examine`."""
    catalogue = load_catalogue() if catalogue is None else catalogue
    of_kind = Kind(kind) if isinstance(kind, str) else kind
    found = dict.fromkeys(
        component for name in names for component in find_components(catalogue, name, kind=of_kind)
    )
    chosen = None if checks is None else _known(checks, of=found)
    pairs = []
    for component in found:
        _refuse_unknown_words(component)
        tables = None if examples is None else tuple(examples)
        for number, subject in enumerate(
            subjects_of(component, catalogue=catalogue, examples=tables)
        ):
            pairs += [
                (check, subject)
                for check in checks_of(component.kind)
                if (chosen is None or check.name in chosen) and not (check.once and number)
            ]
    return pairs


def _known(checks: Iterable[str], *, of: Iterable[Component]) -> set[str]:
    """Names of checks that there are."""
    chosen = set(checks)
    known = {check.name for component in of for check in checks_of(component.kind)}
    for name in sorted(chosen - known):
        raise PluginError(
            f"there is no check called {name!r} of these components",
            remedy="choose among " + ", ".join(sorted(known)),
        )
    return chosen


def _refuse_unknown_words(component: Component) -> None:
    """A registration that says of a component what no check knows was mistyped."""
    said = component.conformance
    checks = {check.name for check in checks_of(component.kind)}
    capabilities = capabilities_of(component.kind)
    for words, known, what in (
        (said.lacks, capabilities, "capability"),
        (said.expected_failures, checks, "check"),
    ):
        for word in words:
            if word not in known:
                raise PluginError(
                    f"the conformance of {component.id} names the {what} {word!r}, which there is "
                    f"not for a {component.kind.value}",
                    where=f"plugin {component.plugin} of {component.package} {component.version}",
                    remedy="choose among " + ", ".join(sorted(known)),
                )


def attempt(check: Check, subject: Subject) -> Result:
    """Try one check on one subject."""
    expected = subject.component.conformance.expected_failures.get(check.name)
    raised: Exception
    try:
        _leave_out(check, subject)
        with _undisturbed():
            check.function(subject)
    except LeftOut as reason:
        return _result(check, subject, Outcome.LEFT_OUT, str(reason))
    except ConformanceFailure as failure:
        seen, remedy, raised = failure.seen, failure.remedy, failure
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        seen, remedy, raised = _raised(error, subject.component), None, error
    else:
        if expected is None:
            return _result(check, subject, Outcome.PASSED)
        return _result(
            check,
            subject,
            Outcome.UNEXPECTED,
            f"it is declared to fail: {expected}",
            remedy="take it out of expected_failures",
        )
    if expected is not None:
        return _result(check, subject, Outcome.EXPECTED, expected)
    if check.basis and subject.fault is None:
        subject.fault = check.name
    remedy = _or_lack(check, remedy)
    return _result(check, subject, Outcome.FAILED, seen, remedy=remedy, error=raised)


def _leave_out(check: Check, subject: Subject) -> None:
    """Not to be tried: what the component lacks, and what stands on a check that failed.

    Raises:
        LeftOut: with the reason.
    """
    lacks = subject.component.conformance.lacks
    if check.capability is not None and check.capability in lacks:
        raise LeftOut(f"lacks {check.capability}: {lacks[check.capability]}")
    if subject.fault is not None and not any(check in suite.checks for suite in COMMON):
        raise LeftOut(f"{subject.fault} failed: mend that first")


def _or_lack(check: Check, remedy: str | None) -> str | None:
    """The remedy, and beside it what may be said of a component that is made otherwise."""
    if check.capability is None:
        return remedy
    lacks = f'declare Conformance(lacks={{"{check.capability}": "the reason"}})'
    return f"{remedy or 'mend it'}; or, where it is meant so, {lacks}"


def _result(
    check: Check,
    subject: Subject,
    outcome: Outcome,
    detail: str = "",
    *,
    remedy: str | None = None,
    error: Exception | None = None,
) -> Result:
    return Result(
        component=subject.component.id,
        kind=subject.component.kind.value,
        name=check.name,
        promise=check.promise,
        example=subject.label,
        outcome=outcome,
        detail=detail,
        remedy=remedy,
        error=error,
    )


def _raised(error: Exception, component: Component) -> str:
    """The error, and the component's own line that led to it."""
    words = error.what if isinstance(error, DddmError) else str(error)
    said = f"{type(error).__name__} was raised" + (f": {words}" if words else "")
    place = place_in(component, error)
    return said if place is None else f"{said} ({place})"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Begin from one random state, and leave that and torch's settings as they were."""
    before = torch_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            yield
        finally:
            restore_torch(before)
