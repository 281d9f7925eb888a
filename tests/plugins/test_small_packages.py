"""How the small built-in packages register what they bring."""

import importlib
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, final

import attrs
import pytest
import torch

from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.dataset import Dataset
from dddm.interfaces.features import Features
from dddm.interfaces.learning_rate import LearningRate
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Objective
from dddm.interfaces.observer import Observer
from dddm.interfaces.plugin import (
    DEFAULT_CONFORMANCE,
    Check,
    Conformance,
    Describe,
    Kind,
    Needs,
    NestedComponent,
    NoOptions,
    Registrar,
    Survey,
    WeightFile,
)
from dddm.interfaces.sampler import Sampler
from dddm.interfaces.schedule import Schedule
from dddm.interfaces.target_store import TargetStore

TRACKERS = {
    "dddm_observers.wandb:Wandb": "wandb",
    "dddm_observers.wandb:Trackio": "trackio",
    "dddm_observers.mlflow:Mlflow": "mlflow",
}
"""Targets that need packages of others."""
PACKAGES = {
    "dddm_schedules": (
        Kind.SCHEDULE,
        Schedule,
        ["karras", "linear", "ve", "vp", "vp-continuous", "vp-cosine"],
    ),
    "dddm_metrics": (
        Kind.METRIC,
        Metric,
        [
            "features",
            "l1",
            "l2",
            "lpips",
            "pseudo-huber",
            "pseudo-huber-elementwise",
            "pseudo-lpips",
        ],
    ),
    "dddm_stores": (
        Kind.TARGET_STORE,
        TargetStore,
        ["bf16", "device", "fp16", "int8", "mmap", "ram"],
    ),
    "dddm_samplers": (
        Kind.SAMPLER,
        Sampler,
        [
            "accelerated",
            "annealed",
            "consistency",
            "ddim",
            "deis",
            "diffusers",
            "dpm-solver",
            "fixed-time",
            "heun",
            "jump",
            "unipc",
        ],
    ),
    "dddm_datasets": (
        Kind.DATASET,
        Dataset,
        [
            "cifar10",
            "digits",
            "folder",
            "hugging-face",
            "imagenet64",
            "npz",
            "parquet",
            "webdataset",
            "zip",
        ],
    ),
    "dddm_features": (
        Kind.FEATURES,
        Features,
        [
            "clip-vit-b-32",
            "digits-classifier",
            "dinov2-vit-b-14",
            "dinov2-vit-l-14",
            "inception",
            "learned",
            "pixels",
            "pixels-8x8",
            "random-convolutions",
            "resnet20",
        ],
    ),
    "dddm_objectives": (
        Kind.OBJECTIVE,
        Objective,
        [
            "consistency",
            "denoising",
            "directly-denoising",
            "directly-drifting",
            "drifting",
            "energy-score",
            "flow-matching",
            "mean-flow",
        ],
    ),
    "dddm_learning_rates": (
        Kind.LEARNING_RATE,
        LearningRate,
        ["constant", "cosine", "inverse-sqrt", "steps"],
    ),
    "dddm_optimizers": (
        Kind.OPTIMIZER,
        torch.optim.Optimizer,
        ["adam", "adamw", "muon", "radam", "sgd"],
    ),
    "dddm_observers": (
        Kind.OBSERVER,
        Observer,
        ["json-lines", "mlflow", "tensorboard", "terminal", "trackio", "wandb"],
    ),
}
every_package = pytest.mark.parametrize("package", PACKAGES)


@final
class Recorder(Registrar):
    """Records what is registered."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}

    def add(
        self,
        kind: Kind,
        name: str,
        *,
        target: str,
        summary: str,
        options: type[Any] = NoOptions,
        api: tuple[int, int] = (1, 1),
        check: Check | None = None,
        describe: Describe | None = None,
        weights: Iterable[WeightFile] = (),
        needs: Needs | None = None,
        survey: Survey | None = None,
        default: bool = False,
        conformance: Conformance = DEFAULT_CONFORMANCE,
    ) -> None:
        self.entries[name] = {
            "kind": kind,
            "target": target,
            "options": options,
            "summary": summary,
            "default": default,
            "weights": tuple(weights),
        }


@final
class Held(NestedComponent):
    """A component that another one holds."""

    def instantiate(self, **more: Any) -> object:
        return object()

    def info(self, of: type[Any]) -> None:
        return None


VALUES: dict[Any, Any] = {float: 0.01, str: "somewhere"}
"""What an option without a default is given, by its type."""


def required_of(options: type[Any]) -> dict[str, Any]:
    """A value for each option that has no default."""
    return {
        field.name: Held() if "kind" in field.metadata else VALUES[field.type]
        for field in attrs.fields(options)
        if field.default is attrs.NOTHING
    }


def registered(package: str) -> dict[str, dict[str, Any]]:
    """What a package registers, by name."""
    recorder = Recorder()
    importlib.import_module(package).dddm_register(recorder)
    return recorder.entries


@every_package
def test_a_package_brings_what_it_is_for(package: str) -> None:
    """The names that recipes use, all of the package's own kind, each with one line about it."""
    kind, _, names = PACKAGES[package]
    entries = registered(package)
    assert sorted(entries) == names
    for entry in entries.values():
        assert entry["kind"] is kind
        assert 10 < len(entry["summary"]) < 90
        assert "\n" not in entry["summary"]


@every_package
def test_a_target_makes_its_component(
    package: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each target, called as its interface says, gives such a component.

    One that needs weights or a package of others reports that they are missing.
    """
    monkeypatch.setenv("DDDM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("DDDM_DATA", raising=False)
    kind, interface, _ = PACKAGES[package]
    for entry in registered(package).values():
        module, _, name = entry["target"].partition(":")
        options = entry["options"](**required_of(entry["options"]))
        arguments: dict[str, Any] = {}
        if kind is Kind.OBSERVER:
            arguments = {"folder": tmp_path}
        elif kind is Kind.OPTIMIZER:
            weight = torch.nn.Parameter(torch.zeros(2, 2))
            arguments = {"parameters": [weight], "learning_rate": 1e-3}
        target = getattr(importlib.import_module(module), name)
        if needed := TRACKERS.get(entry["target"]):
            monkeypatch.setitem(sys.modules, needed, None)
            with pytest.raises(EnvironmentProblem, match="cannot be used"):
                target(options, **arguments)
            continue
        if entry["weights"]:
            with pytest.raises(DataError, match="not found"):
                target(options, **arguments)
        else:
            assert isinstance(target(options, **arguments), interface)


@every_package
def test_every_option_says_what_it_does(package: str) -> None:
    """Options are frozen, and each has a sentence of help."""
    for entry in registered(package).values():
        for field in attrs.fields(entry["options"]):
            assert field.metadata["help"].endswith(".")
            assert "bounds" in field.metadata


def test_registering_imports_nothing_heavy() -> None:
    """Listing components loads neither torch nor numpy nor rich."""
    code = (
        f"import sys, {', '.join(PACKAGES)}; "
        "print(*{'torch', 'numpy', 'rich'}.intersection(sys.modules), sep=',')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""


def test_a_run_without_observers_is_followed_by_the_terminal_alone() -> None:
    """Of the observers one is a default."""
    defaults = [name for name, entry in registered("dddm_observers").items() if entry["default"]]
    assert defaults == ["terminal"]
