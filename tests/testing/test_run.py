"""What came of the checks: left out, expected, unexpected, and words that nobody knows."""

from typing import Any

import pytest
import torch
from planted.metrics import Asymmetric, OneNumber, RightMetric

from dddm.errors import PluginError
from dddm.interfaces.plugin import Conformance, Kind
from dddm.registry.catalogue import Catalogue, PluginStatus
from dddm.registry.registrar import PluginRegistrar
from dddm.testing import Report, Result, examine
from dddm.testing.report import Outcome

SYMMETRIC = "metric.symmetric"


def catalogue(target: type[Any] = RightMetric, **said: Any) -> Catalogue:
    """A catalogue of one metric, of which its registration says this."""
    toys = PluginRegistrar(plugin="toy", package="toys", version="1")
    toys.add(
        Kind.METRIC,
        "near",
        target=f"{target.__module__}:{target.__name__}",
        summary="A toy.",
        conformance=Conformance(**said),
    )
    return Catalogue(toys.components)


def tried(target: type[Any], **said: Any) -> tuple[Report, Result]:
    """The report, and what came of the check of symmetry."""
    report = examine("toy:near", checks=[SYMMETRIC], catalogue=catalogue(target, **said))
    (result,) = report.results
    return report, result


def test_a_kept_promise_passes() -> None:
    """The result says which promise, of which component, with which options."""
    report, result = tried(RightMetric)
    assert report.ok
    assert report.summary == "1 passed"
    assert (result.component, result.name, result.example) == ("toy:near", SYMMETRIC, "defaults")
    assert result.promise == "d(a, b) = d(b, a), up to rounding."


def test_a_broken_promise_fails() -> None:
    """It is told as text: component, options, promise, and what was seen."""
    report, result = tried(Asymmetric)
    assert not report.ok
    assert result.outcome is Outcome.FAILED
    assert str(report) == (
        "toy:near with defaults: metric.symmetric failed\n"
        "  promised: d(a, b) = d(b, a), up to rounding.\n"
        f"  seen: {result.detail}\n"
        "  try: mend it; or, where it is meant so, declare "
        'Conformance(lacks={"symmetric": "the reason"})\n'
        "1 failed"
    )
    assert result.detail.startswith("d(a, b) is not d(b, a): off by ")


def test_what_is_lacked_is_left_out() -> None:
    """With the reason, and is no failure."""
    report, result = tried(Asymmetric, lacks={"symmetric": "it punishes brightness more"})
    assert report.ok
    assert result.outcome is Outcome.LEFT_OUT
    assert result.detail == "lacks symmetric: it punishes brightness more"


def test_an_expected_failure_is_none() -> None:
    """It is told with its reason."""
    report, result = tried(Asymmetric, expected_failures={SYMMETRIC: "not yet"})
    assert report.ok
    assert (result.outcome, result.detail) == (Outcome.EXPECTED, "not yet")


def test_an_expected_failure_that_passes_is_one() -> None:
    """So that the declaration goes when its reason does."""
    report, result = tried(RightMetric, expected_failures={SYMMETRIC: "not yet"})
    assert not report.ok
    assert result.outcome is Outcome.UNEXPECTED
    assert "expected_failures" in str(result)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"lacks": {"symetric": "?"}}, "capability 'symetric'.*symmetric"),
        ({"lacks": {"select": "a backbone's"}}, "capability 'select'"),
        ({"expected_failures": {"metric.symetric": "?"}}, "check 'metric.symetric'.*symmetric"),
    ],
)
def test_mistyped_words_are_refused(said: dict[str, Any], words: str) -> None:
    """A promise must not be passed over because of a letter."""
    with pytest.raises(PluginError) as caught:
        examine("near", catalogue=catalogue(**said))
    assert caught.match(f"(?s){words}")
    assert "plugin toy of toys 1" in str(caught.value)


def test_unknown_names_are_refused() -> None:
    """Of components and of checks, with those that there are."""
    with pytest.raises(PluginError, match="did you mean near"):
        examine("neer", catalogue=catalogue())
    with pytest.raises(PluginError, match=r"no check called 'metric\.symetric'") as caught:
        examine("near", checks=["metric.symetric"], catalogue=catalogue())
    assert SYMMETRIC in str(caught.value)


@pytest.mark.parametrize("name", ["toy:near", "near", "toy", "toys"])
def test_a_component_has_several_names(name: str) -> None:
    """Its id, its name, and those of its namespace and distribution."""
    assert examine(name, checks=[SYMMETRIC], catalogue=catalogue()).ok


def test_kind_tells_components_of_one_name_apart() -> None:
    """As a word or as a member."""
    toys = PluginRegistrar(plugin="toy", package="toys", version="1")
    for kind in (Kind.METRIC, Kind.FEATURES):
        toys.add(kind, "near", target="nowhere:X", summary="A toy.")
    both = Catalogue(toys.components)
    for word in (Kind.METRIC, "metric"):
        report = examine("near", kind=word, checks=["options.helpful"], catalogue=both)
        assert [result.kind for result in report.results] == ["metric"]
    report = examine("near", checks=["options.helpful"], catalogue=both)
    assert len(report.results) == 2


def test_what_cannot_be_built_fails_once() -> None:
    """One check says so; those that need the component point at it."""
    toys = PluginRegistrar(plugin="toy", package="toys", version="1")
    toys.add(Kind.METRIC, "near", target="nowhere:X", summary="A toy.")
    report = examine("near", catalogue=Catalogue(toys.components))
    assert [result.name for result in report.broken] == ["component.builds"]
    reasons = [r.detail for r in report.results if r.name.startswith("metric.")]
    assert set(reasons) == {"component.builds failed: mend that first"}


def test_an_example_that_cannot_be_read_fails_once() -> None:
    """One check says what is wrong with it; the others point at that."""
    report = examine("near", catalogue=catalogue(examples=({"eps": 1},)))
    assert [result.name for result in report.broken] == ["options.read"]
    assert "no option 'eps'" in report.broken[0].detail
    assert report.broken[0].example == "eps=1"


def test_options_are_not_accepted_that_cannot_be_read() -> None:
    """What a component's own check says of them is not known."""
    said = catalogue(examples=({"eps": 1},))
    (result,) = examine("near", checks=["options.accepted"], catalogue=said).results
    assert (result.outcome, result.detail) == (
        Outcome.LEFT_OUT,
        "its example cannot be read: see options.read",
    )


def test_what_stands_on_a_broken_promise_is_left_out() -> None:
    """One failure, of each example by itself; what it has no bearing on is tried."""
    report = examine("near", catalogue=catalogue(OneNumber, examples=({}, {})))
    assert [r.name for r in report.broken] == ["metric.one-number-for-each-image"] * 2
    left = {r.name: r.detail for r in report.results if r.outcome is Outcome.LEFT_OUT}
    assert (
        left["metric.several-targets"] == "metric.one-number-for-each-image failed: mend that first"
    )
    assert "options.round-trip" not in left


def test_a_plugin_that_was_set_aside_answers_with_its_reason() -> None:
    """For its own name, its namespace and its distribution."""
    reason = PluginError("its module is broken", where="toy.py:3", remedy="mend it")
    plugin = PluginStatus(name="toy.more", package="dddm-toys", version="1", error=reason)
    for name in ("toy.more", "toy", "dddm-toys"):
        with pytest.raises(PluginError) as caught:
            examine(name, catalogue=Catalogue([], plugins=[plugin]))
        assert str(caught.value) == (
            "the plugin toy.more of dddm-toys 1 failed to load: its module is broken\n"
            "  at: toy.py:3\n  try: mend it"
        )


def test_examples_are_tried_one_by_one() -> None:
    """What options do not bear on is tried once."""
    said = catalogue(examples=({}, {}))
    names = [result.name for result in examine("near", catalogue=said).results]
    assert names.count(SYMMETRIC) == 2
    assert names.count("options.helpful") == 1


def test_what_a_component_raises_is_told_with_its_line() -> None:
    """Not as a traceback."""
    report = examine("near", checks=["metric.gradient"], catalogue=catalogue(OneNumber))
    (result,) = report.broken
    assert "was raised: " in result.detail
    assert "planted/metrics.py:" in result.detail
    assert result.error is not None
    assert "error" not in result.facts


def test_random_numbers_of_the_caller_go_on() -> None:
    """What was drawn in checks is not missing afterwards."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    examine("near", checks=[SYMMETRIC, "metric.always-the-same"], catalogue=catalogue())
    assert torch.equal(torch.rand(2), expected)
