"""A right learning rate, and wrong ones.  Imports no torch: that is one of the promises."""

from typing import final

from attrs import frozen

from dddm.interfaces.learning_rate import LearningRate
from dddm.interfaces.plugin import option


@frozen(kw_only=True)
class RateOptions:
    rate: float = option(0.1, above=0, help="The rate at the beginning.")
    warmup_steps: int = option(0, at_least=0, help="Steps over which it rises.")


class Linear(LearningRate):
    """From the rate to nothing at the end of the run."""

    def __init__(self, options: RateOptions) -> None:
        self.options = options

    def at(self, *, step: int, total_steps: int) -> float:
        return self.options.rate * (1 - step / total_steps) * self.warm(step)

    def warm(self, step: int) -> float:
        steps = self.options.warmup_steps
        return min(1.0, (step + 1) / steps) if steps else 1.0


@final
class RightRate(Linear):
    pass


@final
class DividesByTheLastStep(Linear):
    def at(self, *, step: int, total_steps: int) -> float:
        return self.options.rate * (1 - step / (total_steps - 1))


@final
class FallsBelowZero(Linear):
    def at(self, *, step: int, total_steps: int) -> float:
        return super().at(step=step, total_steps=total_steps) - 0.01


@final
class NeverAnything(Linear):
    def at(self, *, step: int, total_steps: int) -> float:
        return 0.0


@final
class CountsItsCalls(Linear):
    calls = 0

    def at(self, *, step: int, total_steps: int) -> float:
        self.calls += 1
        return self.options.rate / self.calls


@final
class ForgetsToWarmUp(Linear):
    def warm(self, step: int) -> float:
        return 1.0


@final
class StaysCold(Linear):
    def warm(self, step: int) -> float:
        return 0.5 if self.options.warmup_steps else 1.0
