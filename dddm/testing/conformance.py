"""The checks as tests of pytest, and pytest run on them."""

import contextlib
import inspect
import io
import os
import re
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import pytest
from attrs import frozen

from dddm.errors import DddmError, PluginError
from dddm.interfaces.plugin import Kind
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.registry.loader import load_catalogue
from dddm.registry.registrar import namespace_of
from dddm.registry.tracebacks import line_in_package, line_of_method, top_package
from dddm.testing.check import Check
from dddm.testing.subject import Subject
from dddm.testing.suites import SUITES, capabilities_of, checks_of
from dddm.testing.tensors import torch_restored

_ID_LENGTH = 60


@final
@frozen(eq=False)
class Trial:
    """A check of one component with one example."""

    check: Check
    subject: Subject

    def __call__(self) -> None:
        """Run the check.

        Raises:
            Exception: if the component breaks the promise, with what was promised as a note.
            pytest.skip.Exception: if the check cannot be run here, with the reason.
        """
        __tracebackhide__ = True
        of_kind = self.check in SUITES[self.subject.component.kind].checks
        if self.subject.broken is not None and of_kind:
            pytest.skip(f"{self.subject.broken} failed: fix that first")
        try:
            with torch_restored():
                self.check.run(self.subject)
        except Exception as error:
            if self.check.basis and self.subject.broken is None:
                self.subject.broken = self.check.name
            error.add_note(f"{self.check.name} promises: {self.check.promise}")
            if self.check.capability is not None:
                lacks = f'lacks={{"{self.check.capability}": "the reason"}}'
                error.add_note(f"If this is intended, declare Conformance({lacks}).")
            raise

    def __repr__(self) -> str:
        return f"{self.check.name} of {self.subject.component.id}, {self.subject.example}"


def trials_of(
    *names: str,
    kind: Kind | str | None = None,
    examples: Sequence[Mapping[str, Any]] | None = None,
    checks: Iterable[str] | None = None,
    catalogue: Catalogue | None = None,
) -> list[Trial]:
    """Every check with every example, component by component; for the arguments see `conformance`.

    Raises:
        PluginError: for an unknown component, check or capability.
    """
    catalogue = load_catalogue() if catalogue is None else catalogue
    kind = Kind(kind) if isinstance(kind, str) else kind
    found = dict.fromkeys(c for name in names for c in find_components(catalogue, name, kind=kind))
    known = {check.name for component in found for check in checks_of(component.kind)}
    chosen = known if checks is None else set(checks)
    for name in sorted(chosen - known):
        raise PluginError(
            f"these components have no check called {name!r}",
            remedy="choose among " + ", ".join(sorted(known)),
        )
    trials = []
    for component in found:
        _validate(component)
        tables = component.conformance.examples if examples is None else examples
        for number, table in enumerate(tables or ({},)):
            subject = Subject(
                component,
                interface=SUITES[component.kind].interface,
                catalogue=catalogue,
                table=table,
                given=examples is not None,
            )
            trials += [
                Trial(check, subject)
                for check in checks_of(component.kind)
                if check.name in chosen and not (check.once and number)
            ]
    return trials


def _validate(component: Component) -> None:
    """Check the names of capabilities and checks in a registration."""
    declared = component.conformance
    for what, names, known in (
        ("capability", declared.lacks, set(capabilities_of(component.kind))),
        ("check", declared.expected_failures, {c.name for c in checks_of(component.kind)}),
    ):
        for name in sorted(set(names) - known):
            raise PluginError(
                f"the conformance of {component.id} names the {what} {name!r}, which a "
                f"{component.kind.value} does not have",
                where=f"plugin {component.plugin} of {component.package} {component.version}",
                remedy="choose among " + ", ".join(sorted(known)),
            )


def find_components(
    catalogue: Catalogue, name: str, *, kind: Kind | None = None
) -> tuple[Component, ...]:
    """Components by id or name, or all of a namespace, an entry point or a distribution.

    Raises:
        PluginError: if there is none, with similar names or why its plugin failed to load.
    """
    found = tuple(
        c
        for c in catalogue.components(kind)
        if name in {c.id, c.name, c.namespace, c.plugin, c.package}
    )
    if found:
        return found
    for plugin in catalogue.plugins:
        names = {plugin.name, namespace_of(plugin.name), plugin.package}
        if plugin.error is not None and name in names:
            raise PluginError(
                f"the plugin {plugin.title} failed to load: {plugin.error.what}",
                where=plugin.error.where,
                remedy=plugin.error.remedy,
            )
    if kind is not None:
        return (catalogue.find(kind, name),)
    try:
        return catalogue.named(name)
    except PluginError as error:
        error.remedy = f"{error.remedy}; or name a namespace or a distribution"
        raise


def conformance(
    *names: str,
    kind: Kind | str | None = None,
    examples: Sequence[Mapping[str, Any]] | None = None,
    checks: Iterable[str] | None = None,
    catalogue: Catalogue | None = None,
) -> pytest.MarkDecorator:
    """Parametrize a test with all checks of components, as its argument `check`.

    Args:
        names: ids or names of components, or namespaces or distributions, for all of theirs.
        kind: of the components, if a name is ambiguous.
        examples: options that replace the registered examples, each a table as in a recipe.
        checks: names of the checks; all by default.
        catalogue: of the components; by default the installed ones.

    Raises:
        PluginError: for an unknown component, check or capability.
    """
    return pytest.mark.parametrize(
        "check",
        _parameters(
            trials_of(*names, kind=kind, examples=examples, checks=checks, catalogue=catalogue)
        ),
    )


def _parameters(trials: Iterable[Trial]) -> list[Any]:
    """With skip and xfail marks for declared capabilities and expected failures."""
    parameters = []
    for trial in trials:
        check, component = trial.check, trial.subject.component
        declared, marks = component.conformance, []
        if check.capability in declared.lacks:
            reason = f"lacks {check.capability}: {declared.lacks[str(check.capability)]}"
            marks.append(pytest.mark.skip(reason=reason))
        if check.name in declared.expected_failures:
            reason = declared.expected_failures[check.name]
            marks.append(pytest.mark.xfail(reason=reason, strict=True))
        example = trial.subject.example
        if len(example) > _ID_LENGTH:
            example = example[: _ID_LENGTH - 1] + "…"
        name = f"{check.name}-{component.name}-{example}"
        parameters.append(pytest.param(trial, marks=marks, id=name))
    return parameters


@final
@frozen(kw_only=True)
class Result:
    """What came of one check with one example.

    Attributes:
        component: its id.
        name: of the check.
        example: the options as text.
        outcome: passed, failed, skipped or xfailed (failed as expected), as in pytest.
        detail: the failure, or the reason for skipping or expecting it; empty if it passed.
        where: file and line in the component's package where an error was raised; otherwise of the
            method that the promise is about, or of the component's class; None where that is not
            known.
        lacks: the optional capability that is checked, if any.
    """

    component: str
    kind: str
    name: str
    promise: str
    example: str
    outcome: str
    detail: str = ""
    where: str | None = None
    lacks: str | None = None


def summary_of(results: Iterable[Result]) -> str:
    """`31 passed, 2 skipped`."""
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def run_trials(trials: Sequence[Trial]) -> list[Result]:
    """Run checks in pytest, in this process and without its output."""
    collector = _Collector(trials)
    # Neither the settings nor the conftest of the folder that the user happens to be in.
    arguments = [
        "-c", os.devnull, "--rootdir", str(Path(__file__).parent), "--noconftest",
        "--import-mode=importlib", "-p", "no:cacheprovider", "--capture=sys",
        str(Path(__file__).with_name("run_checks.py")),
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = pytest.main(arguments, plugins=[collector])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise PluginError(f"pytest could not run the checks ({code}):\n{output.getvalue()}")
    return collector.results


@final
class _Collector:
    """A pytest plugin that parametrizes `run_checks.py` and collects the results."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = trials
        self.results: list[Result] = []

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.parametrize("check", _parameters(self._trials))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: Any, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" or not report.passed:
            self.results.append(_result(item.callspec.params["check"], report, call))
        return report


def _result(trial: Trial, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Result:
    component = trial.subject.component
    outcome: str = report.outcome
    detail, where = "", None
    error = None if call.excinfo is None else call.excinfo.value
    if hasattr(report, "wasxfail"):
        outcome, detail = "xfailed", report.wasxfail
    elif report.skipped:
        detail = str(error).removeprefix("Skipped: ")
    elif report.failed and error is None:
        detail = f"{report.longrepr}: it passed, so remove it from expected_failures"
    elif report.failed and error is not None:
        said = str(error)
        if isinstance(error, DddmError):
            said = error.what if error.remedy is None else f"{error.what}: {error.remedy}"
        detail = said if isinstance(error, AssertionError) else f"{type(error).__name__}: {said}"
        where = line_in_package(error, top_package(component.target)) or _place_of(trial)
    return Result(
        component=component.id,
        kind=component.kind.value,
        name=trial.check.name,
        promise=trial.check.promise,
        example=trial.subject.example,
        outcome=outcome,
        detail=detail,
        where=where,
        lacks=trial.check.capability,
    )


def _place_of(trial: Trial) -> str | None:
    """The method that a promise names, or else the only one that its interface asks for."""
    try:
        cls = trial.subject.component.load()
    except Exception:  # noqa: BLE001 - the component may raise anything
        return None
    interface = trial.subject.interface
    named = re.findall(r"`(\w+)", trial.check.promise)
    if trial.check in SUITES[trial.subject.component.kind].checks:
        wanted: frozenset[str] = getattr(interface, "__abstractmethods__", frozenset())
        named += wanted if len(wanted) == 1 else ()
    own = [name for name in named if _overrides(cls, interface, name)]
    return line_of_method(cls, own)


def _overrides(cls: object, interface: type[Any], name: str) -> bool:
    inherited = inspect.getattr_static(interface, name, None)
    return inherited is not None and inspect.getattr_static(cls, name, None) is not inherited
