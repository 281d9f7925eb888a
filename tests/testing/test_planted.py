"""Each check catches something: toys with one mistake each, beside toys without any."""

from pathlib import Path
from typing import Any

import pytest
import torch
from planted import data, metrics, networks, paths, scoring, training
from planted.bug import Bug, outcome_of
from toy_distributions import HEAD, install, registering

from dddm.interfaces.plugin import Kind
from dddm.testing import checks_of
from dddm.testing.conformance import trials_of

MODULES = (data, metrics, networks, paths, scoring, training)
EVERY = [bug for module in MODULES for bug in module.BUGS]
RIGHT = [bug for bug in EVERY if not bug.caught_by]
WRONG = [bug for bug in EVERY if bug.caught_by and not bug.on_device]
ON_DEVICE = [bug for bug in EVERY if bug.on_device]
REGISTERING = "component.registers-quietly"


def identity(bug: Bug) -> str:
    return f"{bug.kind.value}-{bug.name}"


@pytest.mark.parametrize("toy", RIGHT, ids=identity)
def test_a_right_toy_passes(toy: Bug) -> None:
    outcomes = toy.outcomes()
    assert [(n, o) for n, o in outcomes.items() if o.startswith("failed")] == []
    assert list(outcomes.values()).count("passed") >= 10


@pytest.mark.parametrize("bug", WRONG, ids=identity)
def test_a_mistake_is_caught(bug: Bug) -> None:
    """By the checks that are named with it."""
    outcomes = bug.outcomes(bug.caught_by)
    while training.KEPT:
        training.KEPT.pop().close()
    assert {name: o for name, o in outcomes.items() if not o.startswith("failed")} == {}


def test_a_gradient_too_noisy_to_tell_is_no_pass() -> None:
    """Zero within a noise that would hide any mistake leaves the optimum unproved, and says so."""
    outcome = training.TOO_NOISY.outcomes(["objective.optimum"])["objective.optimum"]
    assert outcome.startswith("skipped")
    assert "too noisy to tell" in outcome


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_every_check_catches_something(kind: Kind) -> None:
    """No check is there that no planted mistake breaks; those of devices are planted too."""
    caught = {name for bug in EVERY for name in bug.caught_by} | {REGISTERING}
    assert [check.name for check in checks_of(kind) if check.name not in caught] == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("bug", ON_DEVICE, ids=identity)
def test_a_mistake_on_a_device_is_caught(bug: Bug) -> None:
    outcomes = bug.outcomes(bug.caught_by)
    assert {name: o for name, o in outcomes.items() if not o.startswith("failed")} == {}


@pytest.mark.parametrize("bug", ON_DEVICE, ids=identity)
def test_checks_of_devices_pass_a_right_toy(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the CPU in the place of a GPU, as far as one can go without any."""
    right = next(toy for toy in RIGHT if toy.kind is bug.kind)
    module = f"dddm.testing.checks.{right.kind.value.replace('-', '_')}"
    monkeypatch.setattr(f"{module}.gpus", lambda: iter([torch.device("cpu")]))
    (name,) = bug.caught_by
    assert right.outcomes([name])[name] == "passed"


OPTIONS_WITH_TORCH = """\
from attrs import frozen
from dddm.interfaces.plugin import Kind, hookimpl, option

@frozen(kw_only=True)
class Options:
    eps: float = option(0.5, above=0, help="How far.")

def check(options, context):
    import torch
    return []

@hookimpl
def dddm_register(registrar):
    registrar.add(Kind.METRIC, "far", target="nowhere:X", options=Options, summary="Far off.",
                  check=check)
    registrar.add(Kind.METRIC, "near", target="nowhere:X", options=Options, summary="Near by.")
"""
FAR = 'Kind.METRIC, "far", target="nowhere:X", options=Options, summary="Far off."'


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("toy_quiet", registering(FAR), None),
        ("toy_torch", "import torch\n" + registering(FAR), "torch was imported by its module"),
        ("toy_prints", "print('hello')\n" + registering(FAR), "printed 'hello"),
        ("toy_check", OPTIONS_WITH_TORCH, "torch was imported by its check"),
        (
            "toy_second_time",
            f"import os, sys\nif sys.flags.safe_path: os._exit(3)\n{registering(FAR)}",
            "in a new process failed",
        ),
    ],
)
def test_what_registers_loudly_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, source: str, says: str | None
) -> None:
    """An installed distribution, registered in a new process."""
    assert HEAD in source or module == "toy_check"
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "torch.py").touch()  # in place of the real one, which takes seconds to import
    namespace = module.replace("_", "-")
    modules: dict[str, Any] = {module: (namespace, source)}
    install(tmp_path, "dddm-toy", **modules)
    outcomes = {
        trial.subject.component.name: outcome_of(trial)
        for trial in trials_of(namespace, checks=[REGISTERING])
    }
    assert outcomes["far"] == "passed" if says is None else says in outcomes["far"]
    if module == "toy_check":
        assert outcomes["near"] == "passed"
