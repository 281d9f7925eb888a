"""A right learning rate, and wrong ones."""

from typing import Any, Final, final

from dddm.interfaces.plugin import Kind
from planted.bug import Bug, bug
from planted.rates import (
    CountsItsCalls,
    DividesByTheLastStep,
    FallsBelowZero,
    ForgetsToWarmUp,
    Linear,
    NeverAnything,
    RateOptions,
    RightRate,
    StaysCold,
)


@final
class BesideTorch(Linear):
    """In this module, which imports the kit and with it torch."""


def rate(target: Any, *caught_by: str) -> Bug:
    names = (f"learning-rate.{name}" for name in caught_by)
    return bug(Kind.LEARNING_RATE, target, *names, options=RateOptions)


BUGS: Final[list[Bug]] = [
    rate(RightRate),
    rate(DividesByTheLastStep, "finite"),
    rate(FallsBelowZero, "finite"),
    rate(NeverAnything, "trains"),
    rate(CountsItsCalls, "keeps-nothing"),
    rate(ForgetsToWarmUp, "warms-up"),
    rate(StaysCold, "warms-up"),
    rate(BesideTorch, "needs-no-torch"),
]
