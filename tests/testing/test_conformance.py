"""Outcomes of checks in pytest, and what is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from planted.bug import outcome_of
from planted.metrics import Asymmetric, Charbonnier, Nothing, OneNumber, RightMetric

from dddm.errors import PluginError
from dddm.interfaces.plugin import Conformance, Kind
from dddm.registry.catalogue import Catalogue, PluginStatus
from dddm.registry.registrar import PluginRegistrar
from dddm.testing.checks.component import wrong_signatures
from dddm.testing.conformance import Result, run_trials, summary_of, trials_of

SYMMETRIC = "metric.symmetric"


def catalogue(target: type[Any] = RightMetric, **declared: Any) -> Catalogue:
    """A catalogue of one metric, with this in its registration."""
    toys = PluginRegistrar(plugin="toy", package="toys", version="1")
    toys.add(
        Kind.METRIC,
        "near",
        target=f"{target.__module__}:{target.__name__}",
        summary="A toy.",
        conformance=Conformance(**declared),
    )
    return Catalogue(toys.components)


def run(of: Catalogue, *checks: str) -> list[Result]:
    return run_trials(trials_of("toy:near", checks=checks or None, catalogue=of))


@pytest.mark.parametrize(
    ("target", "declared", "outcome", "detail"),
    [
        (RightMetric, {}, "passed", ""),
        (Asymmetric, {}, "failed", "d(a, b) is not d(b, a): off by at most "),
        (Asymmetric, {"lacks": {"symmetric": "why"}}, "skipped", "lacks symmetric: why"),
        (Asymmetric, {"expected_failures": {SYMMETRIC: "not yet"}}, "xfailed", "not yet"),
        (
            RightMetric,
            {"expected_failures": {SYMMETRIC: "not yet"}},
            "failed",
            "[XPASS(strict)] not yet: it passed, so remove it from expected_failures",
        ),
        (Nothing, {}, "failed", "RuntimeError: nothing"),
    ],
)
def test_outcomes(target: type[Any], declared: dict[str, Any], outcome: str, detail: str) -> None:
    (result,) = run(catalogue(target, **declared), SYMMETRIC)
    assert (result.component, result.name, result.example) == ("toy:near", SYMMETRIC, "defaults")
    assert result.outcome == outcome
    assert result.detail.startswith(detail)
    method = {Asymmetric: Charbonnier.distance, Nothing: Nothing.distance}.get(target)
    if outcome != "failed" or method is None:
        return
    # The line that raised, or else the method that the promise is about.
    line = method.__code__.co_firstlineno + (target is Nothing)
    assert (result.where or "").endswith(f"planted/metrics.py:{line}")


def test_run_by_an_author(tmp_path: Path) -> None:
    """In a process of its own: ids in words, and what was promised beside what was seen."""
    (tmp_path / "test_toys.py").write_text(
        "from test_conformance import Asymmetric, catalogue\n"
        "from dddm.testing import conformance\n"
        "@conformance('toy', checks=['metric.symmetric'], catalogue=catalogue(Asymmetric))\n"
        "def test_toy(check):\n    check()\n"
    )
    here = Path(__file__).parent
    paths = f"{here.parent / 'toys'} {here}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null",
         "--rootdir", str(tmp_path), "-o", f"pythonpath={paths}", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    for text in (
        "test_toys.py::test_toy[metric.symmetric-near-defaults]",
        "metric.symmetric promises: d(a, b) = d(b, a), up to rounding.",
        'Conformance(lacks={"symmetric": "the reason"})',
        "1 failed",
    ):
        assert text in done.stdout


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"lacks": {"symetric": "?"}}, "capability 'symetric'.*symmetric"),
        ({"lacks": {"select": "a backbone's"}}, "capability 'select'"),
        ({"expected_failures": {"metric.symetric": "?"}}, "check 'metric.symetric'.*symmetric"),
    ],
)
def test_mistyped_declarations_are_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=f"(?s){message}") as caught:
        trials_of("near", catalogue=catalogue(**declared))
    assert "plugin toy of toys 1" in str(caught.value)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(PluginError, match="did you mean near"):
        trials_of("neer", catalogue=catalogue())
    with pytest.raises(PluginError, match=r"no check called 'metric\.symetric'") as caught:
        trials_of("near", checks=["metric.symetric"], catalogue=catalogue())
    assert SYMMETRIC in str(caught.value)


@pytest.mark.parametrize("name", ["toy:near", "near", "toy", "toys"])
def test_a_component_has_several_names(name: str) -> None:
    """Its id, its name, and those of its namespace and distribution."""
    assert len(trials_of(name, checks=[SYMMETRIC], catalogue=catalogue())) == 1


def test_kind_tells_components_of_one_name_apart() -> None:
    toys = PluginRegistrar(plugin="toy", package="toys", version="1")
    for kind in (Kind.METRIC, Kind.FEATURES):
        toys.add(kind, "near", target="nowhere:X", summary="A toy.")
    both = Catalogue(toys.components)
    checks = ["options.helpful"]
    for word in (Kind.METRIC, "metric"):
        (trial,) = trials_of("near", kind=word, checks=checks, catalogue=both)
        assert trial.subject.component.kind is Kind.METRIC
    assert len(trials_of("near", checks=checks, catalogue=both)) == 2


def failed(results: list[Result]) -> list[str]:
    return [result.name for result in results if result.outcome == "failed"]


def test_one_mistake_fails_once() -> None:
    """What rests on a broken promise is skipped, of each example by itself."""
    results = run(catalogue(OneNumber, examples=({}, {})))
    assert failed(results) == ["metric.one-number-for-each-image"] * 2
    details = {result.name: result.detail for result in results}
    skipped = "metric.one-number-for-each-image failed: fix that first"
    assert details["metric.several-targets"] == skipped
    assert details["options.round-trip"] == ""
    names = [result.name for result in results]
    assert names.count(SYMMETRIC) == 2
    assert names.count("options.helpful") == 1  # which options do not matter to


def test_what_cannot_be_built_fails_once() -> None:
    toys = PluginRegistrar(plugin="toy", package="toys", version="1")
    toys.add(Kind.METRIC, "near", target="nowhere:X", summary="A toy.")
    results = run(Catalogue(toys.components))
    assert failed(results) == ["component.builds"]
    details = {result.detail for result in results if result.name.startswith("metric.")}
    assert details == {"component.builds failed: fix that first"}


def test_an_example_that_cannot_be_read_fails_once() -> None:
    results = run(catalogue(examples=({"eps": 1},)))
    assert failed(results) == ["options.read"]
    (first,) = [result for result in results if result.name == "options.read"]
    assert "no option 'eps'" in first.detail
    assert first.example == "eps=1"
    assert summary_of(results).startswith("1 failed, ")


def test_a_plugin_that_failed_to_load_answers_with_its_reason() -> None:
    """For its own name, its namespace and its distribution."""
    reason = PluginError("its module is broken", where="toy.py:3", remedy="fix it")
    plugin = PluginStatus(name="toy.more", package="dddm-toys", version="1", error=reason)
    for name in ("toy.more", "toy", "dddm-toys"):
        with pytest.raises(PluginError, match=r"toy\.more of dddm-toys 1 .*its module is broken"):
            trials_of(name, catalogue=Catalogue([], plugins=[plugin]))


def test_torch_is_left_as_it_was() -> None:
    """Its random state too."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    (trial,) = trials_of("near", checks=["metric.always-the-same"], catalogue=catalogue())
    assert outcome_of(trial) == "passed"
    assert torch.equal(torch.rand(2), expected)


class Interface:
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
    @staticmethod
    def refine(cache: Any, *, estimate: int) -> int:
        return estimate


class TooFew(Interface):
    def refine(self, cache: Any) -> int:  # type: ignore[override]
        raise NotImplementedError


class Renamed(Interface):
    def refine(self, cache: Any, *, guess: int) -> int:  # type: ignore[override]
        raise NotImplementedError


class Wanting(Interface):
    def check(self, shape: int, *, name: str) -> None:  # type: ignore[override]
        raise NotImplementedError


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Interface, None),
        (Right, None),
        (Static, None),
        (TooFew, "refine is called as refine(cache, *, estimate); yours takes (cache) ("),
        (Renamed, "refine is called as refine(cache, *, estimate); yours takes (cache, *, guess)"),
        (Wanting, "check is called as check(shape=3, *, name=''); yours takes (shape, *, name)"),
    ],
)
def test_signatures(kind: type[Any], says: str | None) -> None:
    """Methods that cannot be called as an interface says are named with their place."""
    wrong = list(wrong_signatures(kind, interface=Interface))
    assert len(wrong) == (says is not None)
    assert not wrong or (wrong[0].startswith(str(says)) and "test_conformance.py:" in wrong[0])
