"""The learning rate over a run: constant, as in the paper, or warmed up, or falling in steps."""

from collections.abc import Sequence


def learning_rate_at(
    *,
    step: int,
    total_steps: int,
    first: float,
    drops: Sequence[float],
    factor: float,
    warmup_steps: int = 0,
) -> float:
    """The rate of the step after `step` steps are done.

    Args:
        step: steps done so far, 0…total_steps-1.
        total_steps: of the whole run.
        first: the rate at the beginning, once it is warm.
        drops: fractions of the run, in (0, 1), at each of which the rate falls.
        factor: what each drop multiplies the rate by.
        warmup_steps: over which the rate rises from `first`/`warmup_steps` by equal amounts.
    """
    fallen = sum(step >= drop * total_steps for drop in drops)
    warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return float(first * factor**fallen * warm)
