"""What every component promises of its registration and of its class."""

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest

from dddm.errors import DataError
from dddm.interfaces.plugin import Kind
from dddm.registry.loader import GROUP
from dddm.support.weights import FOLDERS_VARIABLE
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import torch_unchanged

COMPONENT: Final = Suite("component")

_SUMMARY_LETTERS: Final = range(4, 101)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


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
        pytest.skip(f"no installed package has the entry point {component.plugin}")
    found = _registered(component.plugin, points[0].value)
    module = points[0].value
    assert not found["failed"], f"importing {module} in a new process failed: {found['failed']}"
    assert not found["printed"], f"importing {module} printed {found['printed'][:200]!r}"
    where = "its module or its hook" if found["registering"] else "its check, needs or describe"
    assert not found["registering"] and component.id not in found["components"], (
        f"torch was imported by {where}: keep options and registration in modules that do not "
        "import torch, and name the class by a string"
    )


@lru_cache
def _registered(name: str, value: str) -> Mapping[str, Any]:
    """What happens when the plugin is registered in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        # As a file, not as a module: importing `dddm.testing` imports torch.
        script = str(Path(__file__).parents[1] / "register_plugin.py")
        done = _python("-P", script, name, value, str(answer))
        if done.returncode or not answer.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return {"failed": last, "printed": ""}
        said = json.loads(answer.read_text())
    return {"failed": "", "printed": done.stdout + done.stderr, **said}


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this very Python
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def torch_import_of(module: str) -> tuple[bool, str]:
    """Whether importing a module in a new process imports torch, and its error, or ''."""
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = _python("-P", "-c", code)
    return bool(done.returncode), "".join(done.stderr.strip().splitlines()[-1:])


@COMPONENT.check(once=True)
def has_a_summary(subject: Subject) -> None:
    """Its summary is one line of 4 to 100 characters."""
    summary = subject.component.summary
    fits = len(summary) in _SUMMARY_LETTERS and summary == summary.strip()
    assert fits, f"the summary is {summary!r}, {len(summary)} letters"


@COMPONENT.check(basis=True)
def builds(subject: Subject) -> None:
    """Its target, called as its interface says, returns an instance of that interface."""
    made = None
    try:
        with subject.built() as made:
            pass
    except Exception:
        # That an observer cannot be closed is found by a check of its own.
        if made is None:
            raise
    interface = subject.interface
    assert isinstance(made, interface), (
        f"{subject.component.target} made a {type(made).__name__}: derive it from "
        f"{interface.__module__}.{interface.__name__}"
    )


def _class_of(subject: Subject) -> type[Any]:
    """The component's class, without building it where its target names it."""
    try:
        target = subject.component.load()
        if isinstance(target, type):
            return target
        with subject.built() as made:
            return type(made)
    except Exception:  # noqa: BLE001 - the component may raise anything
        pytest.skip("it cannot be built: see component.builds")


@COMPONENT.check(basis=True)
def signatures(subject: Subject) -> None:
    """Its methods accept the interface's arguments; further arguments need defaults."""
    wrong = list(wrong_signatures(_class_of(subject), interface=subject.interface))
    assert not wrong, "; ".join(wrong)


def wrong_signatures(cls: type[Any], *, interface: type[Any]) -> Iterator[str]:
    """What is wrong with each method that cannot be called as the interface says."""
    for name, promised in vars(interface).items():
        found = inspect.getattr_static(cls, name, promised)
        if name.startswith("_") or not inspect.isfunction(promised) or found is promised:
            continue
        method = getattr(cls, name)
        if not inspect.isroutine(method):
            continue
        try:
            signature = inspect.signature(method)
        except ValueError:  # of a builtin
            continue
        first = () if isinstance(found, staticmethod | classmethod) else (None,)
        _, *given = inspect.signature(promised).parameters.values()
        # Once with every argument, and once with those alone that have no default.
        for arguments in (given, [one for one in given if one.default is one.empty]):
            named = {one.name: None for one in arguments if one.kind is one.KEYWORD_ONLY}
            positional = [None for one in arguments if one.kind is not one.KEYWORD_ONLY]
            try:
                signature.bind(*first, *positional, **named)
            except TypeError:
                called = _in_words(inspect.signature(promised), skip=1)
                yield (
                    f"{name} is called as {name}{called}; yours takes "
                    f"{_in_words(signature, skip=len(first))}{_place(method)}"
                )
                break


def _in_words(signature: inspect.Signature, *, skip: int) -> str:
    """Names and defaults, without annotations and without `self`."""
    bare = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    return str(inspect.Signature(bare[skip:]))


def _place(method: Any) -> str:
    method = inspect.unwrap(method)
    try:
        return f" ({inspect.getsourcefile(method)}:{inspect.getsourcelines(method)[1]})"
    except (OSError, TypeError):
        return ""


@COMPONENT.check()
def is_final(subject: Subject) -> None:
    """Its class is final, except for optimizers: components are varied by wrapping."""
    cls = _class_of(subject)
    final = subject.component.kind is Kind.OPTIMIZER or getattr(cls, "__final__", False)
    assert final, f"the class {cls.__name__} is not final: decorate it with typing.final"


@COMPONENT.check()
def leaves_torch_alone(subject: Subject) -> None:
    """Building it leaves torch's global settings unchanged."""
    with torch_unchanged("it was built"):
        try:
            with subject.built():
                pass
        except Exception:  # noqa: BLE001 - the component may raise anything
            pytest.skip("it cannot be built: see component.builds")


@COMPONENT.check()
def declares_its_weights(subject: Subject) -> None:
    """All weight files that it needs are declared, with URL, size and SHA-256."""
    component = subject.component
    for file in {*component.weights, *component.weights_for(subject.use.options)}:
        assert file in component.weights, f"{file.name} is needed, but not among its weights"
        digest = _SHA256.fullmatch(file.sha256)
        assert digest, f"{file.name}: {file.sha256!r} is not a SHA-256 in lower-case hexadecimal"
        assert file.size_bytes > 0, f"{file.name} has {file.size_bytes} bytes"
        assert file.url.startswith("https://"), f"{file.name}: {file.url} is not an https address"


@COMPONENT.check()
def misses_its_weights(subject: Subject) -> None:
    """Without its weights, building it raises a DataError that names a missing file."""
    needed = subject.component.weights_for(subject.use.options)
    if not needed:
        return
    remedy = "find them by dddm.support.weights.find_weights"
    with tempfile.TemporaryDirectory() as empty:
        places = dict.fromkeys((FOLDERS_VARIABLE, "TORCH_HOME", "DDDM_DATA"), empty)
        with patch.dict(os.environ, places):
            try:
                subject.use.instantiate()
            except DataError as error:
                named = any(file.name in str(error) for file in needed)
                assert named, f"the error names none of the files: {error.what}: {remedy}"
                return
            except Exception as error:
                raise AssertionError(
                    f"it raised {error!r} instead of DataError: {remedy}"
                ) from error
    raise AssertionError(f"it was made without them: {remedy}")
