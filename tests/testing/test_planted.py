"""Each check catches something: toys with one mistake each, beside toys without any."""

from pathlib import Path
from typing import Any

import pytest
import torch
from planted import (
    backbones,
    datasets,
    features,
    learning_rates,
    metrics,
    objectives,
    observers,
    optimizers,
    parametrizations,
    registrations,
    samplers,
    schedules,
    scores,
    stores,
)
from planted.bug import Bug
from toy_distributions import HEAD, install, registering

from dddm.interfaces.plugin import Kind
from dddm.testing import checks_of, examine

MODULES = (
    backbones, datasets, features, learning_rates, metrics, objectives, observers, optimizers,
    parametrizations, registrations, samplers, schedules, scores, stores,
)  # fmt: skip
EVERY = [bug for module in MODULES for bug in module.BUGS]
RIGHT = [bug for bug in EVERY if not bug.caught_by]
WRONG = [bug for bug in EVERY if bug.caught_by]
ON_A_DEVICE = [
    metrics.ON_A_DEVICE, schedules.ON_A_DEVICE, backbones.ON_A_DEVICE, stores.ON_A_DEVICE,
    samplers.ON_A_DEVICE, features.ON_A_DEVICE, optimizers.ON_A_DEVICE,
    parametrizations.ON_A_DEVICE,
]  # fmt: skip
REGISTERING = "component.registers-quietly"


def identity(bug: Bug) -> str:
    return f"{bug.kind.value}-{bug.name}"


@pytest.mark.parametrize("toy", RIGHT, ids=identity)
def test_a_right_toy_keeps_every_promise(toy: Bug) -> None:
    """Nothing is held against a component that does what its interface says."""
    report = toy.examined()
    assert report.ok, report
    assert sum(result.outcome.value == "passed" for result in report.results) >= 10


@pytest.mark.parametrize("bug", WRONG, ids=identity)
def test_a_mistake_is_caught(bug: Bug) -> None:
    """By the checks that are named with it, each saying what was promised and what was seen."""
    broken = {result.name: result for result in bug.examined().broken}
    while observers.KEPT:
        observers.KEPT.pop().close()
    assert bug.caught_by <= set(broken)
    for result in broken.values():
        assert len(result.promise) > 20
        assert result.promise.endswith(".")
        assert len(result.detail) >= 10


def test_there_are_many_and_some_of_each_kind() -> None:
    """At least 30 mistakes, and at least three of every kind of component."""
    assert len(WRONG) >= 30
    for kind in Kind:
        assert sum(bug.kind is kind for bug in WRONG) >= 3


def test_a_gradient_too_noisy_to_tell_is_no_pass() -> None:
    """Zero within a noise that would hide any mistake leaves the optimum unproved, and says so."""
    results = {result.name: result for result in objectives.TOO_NOISY.examined().results}
    assert results["objective.optimum"].outcome.value == "left out"
    assert "too noisy to tell" in results["objective.optimum"].detail


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_every_check_catches_something(kind: Kind) -> None:
    """No check is there that no planted mistake breaks; those of devices are planted too."""
    caught = {name for bug in (*WRONG, *ON_A_DEVICE) for name in bug.caught_by} | {REGISTERING}
    assert [check.name for check in checks_of(kind) if check.name not in caught] == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("bug", ON_A_DEVICE, ids=identity)
def test_a_mistake_on_a_device_is_caught(bug: Bug) -> None:
    """What holds on the CPU alone is found where there is another device."""
    assert bug.caught_by <= {result.name for result in bug.examined().broken}


@pytest.mark.parametrize(
    "module",
    [metrics, schedules, backbones, stores, samplers, features, optimizers, parametrizations],
    ids=lambda module: module.__name__,
)  # fmt: skip
def test_checks_of_devices_pass_a_right_toy(
    module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the CPU in the place of a GPU, as far as one can go without any."""
    (right, *_) = module.BUGS  # type: ignore[attr-defined]  # one of ours
    name = f"dddm.testing.kinds.{right.kind.value.replace('-', '_')}"
    monkeypatch.setattr(f"{name}.gpus", lambda: iter([torch.device("cpu")]))
    report = right.examined()
    (devices,) = [r for r in report.results if r.name.endswith(".devices")]
    assert devices.outcome.value == "passed", devices


OPTIONS_WITH_TORCH = """\
from attrs import frozen
from dddm.interfaces.plugin import Kind, hookimpl, option

@frozen(kw_only=True)
class Options:
    eps: float = option(0.5, above=0, help="How far.")

def check(options, around):
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
    """A real distribution, registered in a process of its own."""
    assert HEAD in source or module == "toy_check"
    monkeypatch.syspath_prepend(tmp_path)
    modules: dict[str, Any] = {module: (module.replace("_", "-"), source)}
    install(tmp_path, "dddm-toy", **modules)
    namespace = module.replace("_", "-")
    (result,) = examine(f"{namespace}:far", checks=[REGISTERING]).results
    assert result.outcome.ok == (says is None), result
    assert says is None or says in result.detail
    if module == "toy_check":
        (other,) = examine(f"{namespace}:near", checks=[REGISTERING]).results
        assert other.outcome.ok
