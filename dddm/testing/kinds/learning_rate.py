"""What a learning rate promises; see `dddm.interfaces.learning_rate`."""

import math
import os
import random
import subprocess
import sys
from typing import Final

from dddm.interfaces.learning_rate import LearningRate
from dddm.testing.check import Suite, expect
from dddm.testing.subject import LeftOut, Subject

LEARNING_RATE: Final = Suite("learning-rate")

_RUNS: Final = (1, 2, 3, 100, 1001)
"""Lengths of runs that are tried, in steps."""
_WARMUP: Final = "warmup_steps"
_WARMUP_STEPS: Final = 8
_SECONDS: Final = 120


def _rates(rate: LearningRate, *, total_steps: int) -> list[float]:
    return [rate.at(step=step, total_steps=total_steps) for step in range(total_steps)]


def _rate(subject: Subject) -> LearningRate:
    rate: LearningRate = subject.made
    return rate


@LEARNING_RATE.check(basis=True)
def finite(subject: Subject) -> None:
    """Every step of a run has a finite rate of at least 0, also in a run of one step."""
    for total in _RUNS:
        for step, found in enumerate(_rates(_rate(subject), total_steps=total)):
            where = f"at step {step} of {total}"
            expect(isinstance(found, float), f"{where} the rate is a {type(found).__name__}")
            expect(math.isfinite(found) and found >= 0, f"{where} the rate is {found}")


@LEARNING_RATE.check()
def trains(subject: Subject) -> None:
    """In every run there is a step whose rate is above 0."""
    for total in _RUNS:
        expect(any(_rates(_rate(subject), total_steps=total)), f"it is 0 in a run of {total} steps")


@LEARNING_RATE.check()
def keeps_nothing(subject: Subject) -> None:
    """The rate of a step is the same, bit for bit, in any order, and of a new instance."""
    asked = [(step, total) for total in _RUNS for step in range(0, total, 7)]
    first = {(s, t): _rate(subject).at(step=s, total_steps=t) for s, t in asked}
    random.Random(0).shuffle(asked)  # noqa: S311 - an order, no secret
    new: LearningRate = subject.make()
    for step, total in asked:
        for found in (rate.at(step=step, total_steps=total) for rate in (_rate(subject), new)):
            expect(
                found == first[step, total],
                f"the rate of step {step} of {total} is {found}, and was {first[step, total]}",
                remedy="compute it from `step` and `total_steps` alone",
            )


@LEARNING_RATE.check()
def warms_up(subject: Subject) -> None:
    """With the option `warmup_steps` the rate rises to what it is without, and is equal then."""
    if not hasattr(subject.use.options, _WARMUP):
        raise LeftOut(f"it has no option {_WARMUP}")
    warm, cold = (
        _rates(
            subject.read({**subject.table, _WARMUP: steps}).instantiate(),
            total_steps=2 * _WARMUP_STEPS,
        )
        for steps in (_WARMUP_STEPS, 0)
    )
    share = [one / other for one, other in zip(warm, cold, strict=True) if other]
    expect(share[0] < 1, f"the first step has {share[0]:.3g} of its rate without warm-up")
    expect(share == sorted(share), f"shares of the rate without warm-up do not rise: {share}")
    expect(
        warm[_WARMUP_STEPS:] == cold[_WARMUP_STEPS:],
        "after the warm-up the rate differs from that without",
    )


@LEARNING_RATE.check(once=True)
def needs_no_torch(subject: Subject) -> None:
    """Its module imports no torch, so that `dddm show` can tell of the rate at once."""
    module = subject.component.target.partition(":")[0]
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - this very Python, on a module that is registered
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    said = done.stderr.strip().splitlines()
    expect(not said, f"importing {module} in a new process failed: {said[-1:]}")
    expect(not done.returncode, f"importing {module} imports torch", remedy="compute with floats")
