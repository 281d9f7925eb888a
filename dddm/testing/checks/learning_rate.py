"""What a learning rate promises; see `dddm.interfaces.learning_rate`."""

import math
import random
from collections.abc import Iterator
from typing import Final

import pytest

from dddm.interfaces.learning_rate import LearningRate
from dddm.testing.check import Suite
from dddm.testing.checks.component import torch_import_of
from dddm.testing.subject import Subject

_RUNS: Final = (1, 2, 3, 100, 1001)
"""Lengths of runs, in steps."""
_WARMUP: Final = "warmup_steps"
_WARMUP_STEPS: Final = 8


def _runs(subject: Subject) -> Iterator[tuple[LearningRate, int]]:
    for total in _RUNS:
        yield subject.made, total


def _subject(subject: Subject) -> Iterator[tuple[Subject]]:
    yield (subject,)


LEARNING_RATE: Final = Suite("learning-rate", interface=LearningRate, cases=_runs)


def _rates(rate: LearningRate, total_steps: int) -> list[float]:
    return [rate.at(step=step, total_steps=total_steps) for step in range(total_steps)]


@LEARNING_RATE.check(basis=True)
def finite(rate: LearningRate, total: int) -> None:
    """The rate is finite and at least 0 at every step, also in a run of one step."""
    for step, found in enumerate(_rates(rate, total)):
        valid = isinstance(found, float) and math.isfinite(found) and found >= 0
        assert valid, f"at step {step} of {total} the rate is {found!r}"


@LEARNING_RATE.check()
def trains(rate: LearningRate, total: int) -> None:
    """In every run the rate of some step is above 0."""
    assert any(_rates(rate, total)), f"it is 0 in a run of {total} steps"


@LEARNING_RATE.check(cases=lambda subject: [(subject.made, subject.make())])
def keeps_nothing(rate: LearningRate, other: LearningRate) -> None:
    """The rate depends only on the step and the length of the run, bit for bit."""
    asked = [(step, total) for total in _RUNS for step in range(0, total, 7)]
    first = {(step, total): rate.at(step=step, total_steps=total) for step, total in asked}
    random.Random(0).shuffle(asked)  # noqa: S311 - an order, not a secret
    for step, total in asked:
        for found in (one.at(step=step, total_steps=total) for one in (rate, other)):
            assert found == first[step, total], (
                f"the rate of step {step} of {total} is {found}, and was {first[step, total]}: "
                "compute it from `step` and `total_steps` alone"
            )


@LEARNING_RATE.check(cases=_subject)
def warms_up(subject: Subject) -> None:
    """With the option `warmup_steps` the rate rises to that without warm-up, and then equals it."""
    if not hasattr(subject.use.options, _WARMUP):
        pytest.skip(f"it has no option {_WARMUP}")
    warm, cold = (
        _rates(subject.read({**subject.table, _WARMUP: steps}).instantiate(), 2 * _WARMUP_STEPS)
        for steps in (_WARMUP_STEPS, 0)
    )
    share = [one / other for one, other in zip(warm, cold, strict=True) if other]
    assert share[0] < 1, f"the first step has {share[0]:.3g} of its rate without warm-up"
    assert share == sorted(share), f"shares of the rate without warm-up do not rise: {share}"
    same = warm[_WARMUP_STEPS:] == cold[_WARMUP_STEPS:]
    assert same, "after the warm-up the rate differs from that without"


@LEARNING_RATE.check(once=True, cases=_subject)
def needs_no_torch(subject: Subject) -> None:
    """Its module does not import torch, so that `dddm show` is fast."""
    module = subject.component.target.partition(":")[0]
    imported, error = torch_import_of(module)
    assert not error, f"importing {module} in a new process failed: {error}"
    assert not imported, f"importing {module} imports torch: compute with floats"
