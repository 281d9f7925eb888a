"""A correct learning rate.  Imports no torch: that is one of the promises."""

from attrs import frozen

from dddm.interfaces.learning_rate import LearningRate
from dddm.interfaces.plugin import option


@frozen(kw_only=True)
class RateOptions:
    rate: float = option(0.1, above=0, help="The rate at the beginning.")
    warmup_steps: int = option(0, at_least=0, help="Steps over which it rises.")


class Linear(LearningRate):
    """From the rate to 0 at the end of the run."""

    def __init__(self, options: RateOptions) -> None:
        self.options = options

    def at(self, *, step: int, total_steps: int) -> float:
        return self.options.rate * (1 - step / total_steps) * self.warm(step)

    def warm(self, step: int) -> float:
        steps = self.options.warmup_steps
        return min(1.0, (step + 1) / steps) if steps else 1.0
