"""`dddm plugin` and `dddm plugin test`."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from click.testing import CliRunner, Result
from command_line import dddm, succeeded
from planted.metrics import Asymmetric, Nothing, RightMetric

from dddm.cli.plugin import COMMANDS, plugin
from dddm.errors import PluginError, UsageError
from dddm.interfaces.plugin import Conformance, Kind, option
from dddm.registry.catalogue import Catalogue
from dddm.registry.registrar import PluginRegistrar


@frozen(kw_only=True)
class Options:
    c: float = option(0.01, above=0, help="Where the corner is.")


def catalogue(*more: type[Any]) -> Catalogue:
    """A right metric and a wrong one, of one distribution; and more, if wanted."""
    toys = PluginRegistrar(plugin="toy", package="dddm-toys", version="1")
    targets: tuple[type[Any], ...] = (RightMetric, Asymmetric, *more)
    for target in targets:
        toys.add(
            Kind.METRIC,
            target.__name__.lower(),
            target=f"planted.metrics:{target.__name__}",
            summary="A toy.",
            options=Options,
            conformance=Conformance(examples=({"c": 0.5},)),
        )
    return Catalogue(toys.components)


def call(*words: str, more: tuple[type[Any], ...] = ()) -> Result:
    return CliRunner().invoke(plugin, ["test", *words], obj={"catalogue": catalogue(*more)})


def test_the_group_lists_its_commands() -> None:
    """From a table, without importing them."""
    shown = CliRunner().invoke(plugin, ["--help"]).output
    for name, summary in COMMANDS.items():
        assert f"{name}" in shown
        assert summary in shown


def test_kept_promises_are_ticked() -> None:
    """Each check under its component and example; then how many there were."""
    done = call("rightmetric", "--check", "metric.symmetric", "--check", "metric.several-targets")
    assert done.exit_code == 0, done.output
    assert done.output == (
        "toy:rightmetric  metric, with c=0.5\n  ✓ metric.symmetric\n  ✓ metric.several-targets\n\n"
        "2 passed\n"
    )


def test_a_broken_promise_is_a_plugin_s_error() -> None:
    """Exit code 4, with what was promised and seen; the others are shown too."""
    done = call("dddm-toys", "--check", "metric.symmetric")
    assert isinstance(done.exception, PluginError)
    assert done.exception.exit_code == 4
    assert "  ✓ metric.symmetric\n" in done.output
    assert "  ✗ metric.symmetric  failed: d(a, b) is not d(b, a)" in done.output
    said = str(done.exception)
    assert said.startswith(
        "a check failed\ntoy:asymmetric with c=0.5:\n  metric.symmetric promises: d"
    )
    assert "seen: d(a, b) is not d(b, a)" in said
    assert 'Conformance(lacks={"symmetric": "the reason"})' in said


def test_one_cause_is_shown_once() -> None:
    """The line of the second check points at the first; the error names both."""
    checks = ("--check", "metric.always-the-same", "--check", "metric.symmetric")
    done = call("nothing", *checks, more=(Nothing,))
    (first, second) = [line for line in done.output.splitlines() if "✗" in line]
    assert first == "  ✗ metric.symmetric  failed: RuntimeError: nothing"
    assert second == "  ✗ metric.always-the-same  failed: as metric.symmetric"
    said = str(done.exception)
    assert said.count("RuntimeError") == 1
    assert "  metric.always-the-same promises: " in said
    assert "planted/metrics.py:" in said


def test_what_is_skipped_says_why() -> None:
    """In the same line."""
    done = call("rightmetric", "--check", "component.registers-quietly")
    assert "  · component.registers-quietly  skipped: no installed package" in done.output


def test_as_json() -> None:
    """Every result with its promise, whether all is well, and the exit code all the same."""
    done = call("toy", "--check", "metric.symmetric", "--json")
    assert isinstance(done.exception, PluginError)
    facts: Any = json.loads(done.stdout)
    assert facts["ok"] is False
    assert facts["summary"] == "1 failed, 1 passed"
    wrong, right = facts["results"]
    assert (wrong["component"], wrong["outcome"]) == ("toy:asymmetric", "failed")
    assert right["promise"] == "d(a, b) = d(b, a), up to rounding."


def test_the_checks_are_listed() -> None:
    """By name, with promise and capability; none is tried."""
    shown = call("asymmetric", "--list").output
    assert "metric.symmetric  (capability symmetric)\n    d(a, b) = d(b, a)" in shown
    assert "options.round-trip\n" in shown
    assert "schedule." not in shown
    listed = json.loads(call("asymmetric", "--list", "--json").stdout)
    assert {"name": "metric.symmetric", "capability": "symmetric",
            "promise": "d(a, b) = d(b, a), up to rounding."} in listed  # fmt: skip


def test_options_take_the_place_of_the_examples() -> None:
    """As KEY=VALUE, of one component, and checked."""
    done = call("rightmetric", "--check", "metric.symmetric", "--option", "c=0.25")
    assert "with c=0.25\n" in done.output
    assert isinstance(call("rightmetric", "--option", "c=-1").exception, UsageError)
    assert "with defaults" not in done.output
    several = call("toy", "--option", "c=1").exception
    assert isinstance(several, UsageError)
    assert "name one of toy:asymmetric, toy:rightmetric" in str(several)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["symetric"], "or name a namespace or a distribution"),
        (["rightmetric", "--check", "metric.los"], "no check called 'metric.los'"),
    ],
)
def test_unknown_names_are_refused(words: list[str], says: str) -> None:
    """With what there is."""
    caught = call(*words).exception
    assert isinstance(caught, PluginError)
    assert says in str(caught)


def test_a_built_in_on_the_real_command_line(tmp_path: Path) -> None:
    """`dddm plugin test`, from any folder, leaves nothing there."""
    out = succeeded(dddm("plugin", "test", "dddm:json-lines", cwd=tmp_path))
    assert 'dddm:json-lines  observer, with path="events/run.jsonl"\n' in out
    assert "✓ observer.lets-go" in out
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_plugin_exits_with_4(tmp_path: Path) -> None:
    """One that is disabled cannot be tested, and an error shows no traceback."""
    done = dddm("-p", "no:dddm.metrics", "plugin", "test", "dddm:l1", cwd=tmp_path)
    assert done.returncode == 4
    assert "disabled" in done.stderr
    assert "Traceback" not in done.stderr
