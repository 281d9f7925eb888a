"""The learning rate over a run, a pure function of progress.  Imports no torch."""

from abc import ABC, abstractmethod


class LearningRate(ABC):
    """Computes the rate of each optimizer step.

    Stateless: the rate of a step is the same in an uninterrupted and in a resumed run.

    A target of kind `learning-rate` is called as `target(options)`.
    """

    @abstractmethod
    def at(self, *, step: int, total_steps: int) -> float:
        """The rate of the step that follows `step` done ones: at least 0, finite.

        Args:
            step: steps done so far, 0…total_steps-1.
            total_steps: of the whole run, at least 1.
        """
