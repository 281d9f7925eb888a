"""The conformance kit: checks that a component does what its interface promises.

In the tests of a plugin, one test for each promise and each example of options:

    from dddm.testing import conformance

    @conformance("charbonnier:charbonnier")
    def test_conformance(check):
        check()

On the command line:

    dddm plugin test charbonnier

What the kit needs to know of a component is in its registration: `conformance=Conformance(...)`
of `dddm.interfaces.plugin`.  Every check and capability is listed in docs/testing.md.
"""

try:
    import pytest  # noqa: F401 - only to say what to install if it is missing
except ImportError as error:
    from dddm.errors import EnvironmentProblem

    raise EnvironmentProblem(
        "dddm.testing runs on pytest, which is not installed",
        remedy="pip install 'dddm[testing]'",
    ) from error

from dddm.core.draws import draw
from dddm.core.step import StepParts, make_step
from dddm.testing.check import Check
from dddm.testing.conformance import conformance
from dddm.testing.suites import checks_of
from dddm.testing.toys import (
    ScalarDenoiser,
    SquaredError,
    ToyDenoiser,
    cosine_schedule,
    toy_schedules,
)

__all__ = [
    "Check", "ScalarDenoiser", "SquaredError", "StepParts", "ToyDenoiser", "checks_of",
    "conformance", "cosine_schedule", "draw", "make_step", "toy_schedules",
]  # fmt: skip
