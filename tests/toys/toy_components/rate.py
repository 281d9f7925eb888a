"""A learning rate that stays."""

from typing import final

from dddm.interfaces.learning_rate import LearningRate
from toy_components import RateOptions


@final
class Flat(LearningRate):
    def __init__(self, options: RateOptions) -> None:
        self._rate = options.rate

    def at(self, *, step: int, total_steps: int) -> float:
        return self._rate
