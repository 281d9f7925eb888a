"""The learning rate over a run: constant, as in the paper, or falling in steps."""

from collections.abc import Sequence


def learning_rate_at(
    *, step: int, total_steps: int, first: float, drops: Sequence[float], factor: float
) -> float:
    """The rate of the step after `step` steps are done.

    Args:
        step: steps done so far, 0…total_steps-1.
        total_steps: of the whole run.
        first: the rate at the beginning.
        drops: fractions of the run, in (0, 1), at each of which the rate falls.
        factor: what each drop multiplies the rate by.
    """
    fallen = sum(step >= drop * total_steps for drop in drops)
    return float(first * factor**fallen)
