"""What every component promises of its registration and of its class."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import torch

from dddm.errors import DataError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.dataset import Dataset
from dddm.interfaces.features import Features
from dddm.interfaces.learning_rate import LearningRate
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Objective
from dddm.interfaces.observer import Observer
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.plugin import Kind
from dddm.interfaces.sampler import Sampler
from dddm.interfaces.schedule import Schedule
from dddm.interfaces.score import Score
from dddm.interfaces.target_store import TargetStore
from dddm.registry.loader import GROUP
from dddm.support.weights import FOLDERS_VARIABLE
from dddm.testing import registering
from dddm.testing.check import ConformanceFailure, Suite, expect
from dddm.testing.signatures import wrong_signatures
from dddm.testing.subject import LeftOut, Subject
from dddm.testing.torch_state import expect_torch_as_before, torch_state

COMPONENT: Final = Suite("component")

INTERFACES: Final[Mapping[Kind, type[Any]]] = {
    Kind.OBJECTIVE: Objective,
    Kind.SCHEDULE: Schedule,
    Kind.PARAMETRIZATION: Parametrization,
    Kind.BACKBONE: Backbone,
    Kind.METRIC: Metric,
    Kind.TARGET_STORE: TargetStore,
    Kind.OPTIMIZER: torch.optim.Optimizer,
    Kind.LEARNING_RATE: LearningRate,
    Kind.DATASET: Dataset,
    Kind.SAMPLER: Sampler,
    Kind.FEATURES: Features,
    Kind.SCORE: Score,
    Kind.OBSERVER: Observer,
}

_SUMMARY_LETTERS: Final = range(4, 101)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SECONDS: Final = 120


@COMPONENT.check(once=True)
def registers_quietly(subject: Subject) -> None:
    """Registering it, checking its options and describing it import no torch and print nothing."""
    component = subject.component
    points = [
        point
        for point in entry_points(group=GROUP, name=component.plugin)
        if point.dist is not None and point.dist.name == component.package
    ]
    if not points:
        raise LeftOut(f"no installed package has the entry point {component.plugin}")
    found = _registered(component.plugin, points[0].value)
    expect(
        not found["failed"],
        f"importing {points[0].value} in a new process failed: {found['failed']}",
    )
    expect(
        not found["printed"],
        f"importing {points[0].value} printed {found['printed'][:200]!r}",
        remedy="print nothing while a module is imported or registers its components",
    )
    where = "its module or its hook" if found["registering"] else "its check, needs or describe"
    expect(
        not found["registering"] and component.id not in found["components"],
        f"torch was imported by {where}",
        remedy="keep options and registration in modules that do not import torch, and name the "
        "class by a string",
    )


@lru_cache
def _registered(name: str, value: str) -> Mapping[str, Any]:
    """What happens when the plugin is registered in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        done = subprocess.run(  # noqa: S603 - this very Python, on a file of ours
            [sys.executable, "-P", registering.__file__, name, value, str(answer)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode or not answer.exists():
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            return {"failed": last, "printed": ""}
        said = json.loads(answer.read_text())
    return {"failed": "", "printed": done.stdout + done.stderr, **said}


@COMPONENT.check(once=True)
def has_a_summary(subject: Subject) -> None:
    """Its summary is one line that a listing has room for, 4 to 100 letters."""
    summary = subject.component.summary
    expect(
        len(summary) in _SUMMARY_LETTERS and summary == summary.strip(),
        f"the summary is {summary!r}, {len(summary)} letters",
        remedy="say in one short line what it is",
    )


@COMPONENT.check(basis=True)
def builds(subject: Subject) -> None:
    """Its target, called as its interface says, makes an instance of that interface."""
    interface = INTERFACES[subject.component.kind]
    made = None
    try:
        with subject.built() as made:
            pass
    except Exception:
        # That an observer cannot be closed is told by a check of its own.
        if made is None:
            raise
    kind = type(made)
    expect(
        issubclass(kind, interface),
        f"{subject.component.target} made a {kind.__name__}, no {interface.__name__}",
        remedy=f"derive it from {interface.__module__}.{interface.__name__}",
    )


@COMPONENT.check(basis=True)
def signatures(subject: Subject) -> None:
    """Its methods can be called as the interface says; more arguments with defaults do no harm."""
    interface = INTERFACES[subject.component.kind]
    wrong = list(wrong_signatures(_class_of(subject), interface=interface))
    expect(not wrong, "; ".join(wrong))


@COMPONENT.check()
def is_final(subject: Subject) -> None:
    """Its class is final: who varies a component wraps it; an optimizer's may be torch's own."""
    kind = _class_of(subject)
    if subject.component.kind is Kind.OPTIMIZER:
        return
    expect(
        bool(getattr(kind, "__final__", False)),
        f"the class {kind.__name__} is not final",
        remedy="decorate it with typing.final: to vary a component, wrap it",
    )


def _class_of(subject: Subject) -> type[Any]:
    """The component's class, without making it where its target names it."""
    try:
        target = subject.component.load()
        if isinstance(target, type):
            return target
        with subject.built() as made:
            return type(made)
    except LeftOut:
        raise
    except Exception as error:
        raise LeftOut("it cannot be built: see component.builds") from error


@COMPONENT.check()
def leaves_torch_alone(subject: Subject) -> None:
    """Making it changes none of torch's settings that hold for the whole process."""
    before = torch_state()
    try:
        with subject.built():
            pass
    except LeftOut:
        raise
    except Exception as error:
        raise LeftOut("it cannot be built: see component.builds") from error
    expect_torch_as_before(before, after="it was made")


@COMPONENT.check()
def declares_its_weights(subject: Subject) -> None:
    """All weights that it needs are declared, with URL, size and SHA-256."""
    component = subject.component
    needed = component.weights_for(subject.use.options)
    for file in {*component.weights, *needed}:
        expect(file in component.weights, f"{file.name} is needed and not among its weights")
        expect(
            _SHA256.fullmatch(file.sha256) is not None,
            f"{file.sha256!r}, of {file.name}, is no SHA-256 in lower-case hexadecimal",
        )
        expect(file.size_bytes > 0, f"{file.name} has {file.size_bytes} bytes")
        expect(file.url.startswith("https://"), f"{file.url}, of {file.name}, is no https address")


@COMPONENT.check()
def misses_its_weights(subject: Subject) -> None:
    """Without its weights it cannot be made, and says by a DataError which are missing."""
    needed = subject.component.weights_for(subject.use.options)
    if not needed:
        return
    with _nothing_to_be_found():
        try:
            subject.use.instantiate()
        except DataError as error:
            expect(
                any(file.name in str(error) for file in needed),
                f"the error names none of the files: {error.what}",
                remedy="find them by dddm.support.weights.find_weights",
            )
            return
        except Exception as error:
            raise ConformanceFailure(
                f"{error!r} was raised instead of DataError",
                remedy="find them by dddm.support.weights.find_weights",
            ) from error
    raise ConformanceFailure(
        "it was made without them", remedy="find them by dddm.support.weights.find_weights"
    )


@contextmanager
def _nothing_to_be_found() -> Iterator[None]:
    """Inside, weights and data are looked for in an empty folder."""
    names = (FOLDERS_VARIABLE, "TORCH_HOME", "DDDM_DATA")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory() as empty:
        os.environ.update(dict.fromkeys(names, empty))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
