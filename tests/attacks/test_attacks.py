"""A few seconds of the attacks on recipes and files, and that they notice what they look for."""

import random
import runpy
import time
from pathlib import Path
from typing import Any

import attack
import pytest
from attack import Findings, damaged

from dddm.errors import DataError
from dddm.registry.loader import load_catalogue

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / f"{name}.py"))


def test_changed_recipes(tmp_path: Path) -> None:
    """Read or refused in words, each at once; some of both."""
    findings = load("attack_recipes")["attack"](range(40), tmp_path, load_catalogue())
    assert not findings.found
    assert findings.outcomes["read"] > 2
    assert findings.outcomes["refused: RecipeError"] > 10


def test_damaged_files(tmp_path: Path) -> None:
    """Of every kind, three times."""
    module = load("attack_files")
    findings = module["attack"](range(3 * len(module["ATTACKS"])), tmp_path)
    assert not findings.found
    assert findings.outcomes["refused: DataError"] > 5
    assert sum(findings.outcomes.values()) == 3 * len(module["ATTACKS"])


def test_damage_is_the_same_for_the_same_number() -> None:
    data = bytes(range(256))
    found = [damaged(data, random.Random(k // 2)) for k in range(40)]  # noqa: S311 - as there
    assert found[::2] == found[1::2]
    assert len(set(found)) > 15


def test_what_must_not_be_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is not ours, and a try that takes too long; not an error of ours."""
    monkeypatch.setattr(attack, "MOST_SECONDS", 0.1)
    monkeypatch.setattr(attack, "megabytes", lambda: 100.0)  # that of other tests does not count

    def fail(error: Exception) -> str:
        raise error

    def work() -> str:
        start = time.process_time()
        while time.process_time() < start + 0.2:
            pass
        return "read"

    findings = Findings()
    findings.try_one("fine", lambda: "read")
    findings.try_one("refused", lambda: fail(DataError("it is damaged")))
    assert not findings.found
    findings.try_one("wrong", lambda: fail(KeyError("a")))
    findings.try_one("slow", work)
    assert ["KeyError" in findings.found[0], "slow: 0." in findings.found[1]] == [True, True]
    assert findings.show() == 2
