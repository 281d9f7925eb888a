"""The built-in learning rates.  Imports no torch.

With t steps done of T, and W steps of warm-up, the rate of the next step is rate · w(t) · f(t):

    w(t) = min(1, (t + 1)/W), or 1 without warm-up
                                               Goyal et al. 2017, §2.2, "gradual warmup"
    constant      f(t) = 1                     the paper's, §5.1
    steps         f(t) = factor^n              n: how many drops d have t ≥ d·T
    cosine        f(t) = c + (1 − c)·(1 + cos πp)/2
                  p = max(0, t/T − b)/(1 − b)  Loshchilov & Hutter 2017, eq. 5
    inverse-sqrt  f(t) = 1/√max(t/t_ref, 1)    Karras et al. 2024 (EDM2): `learning_rate_schedule`
                                               of NVlabs/edm2, training/training_loop.py

A warm-up multiplies: it does not shift the rest of the run.
"""

import math
from typing import final

from dddm.interfaces.learning_rate import LearningRate
from dddm_learning_rates.options import (
    ConstantOptions,
    CosineOptions,
    InverseSqrtOptions,
    StepsOptions,
)


def warmup_factor(*, step: int, warmup_steps: int) -> float:
    """w(t)."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


@final
class Constant(LearningRate):
    """One rate for the whole run."""

    def __init__(self, options: ConstantOptions) -> None:
        self._options = options

    def at(self, *, step: int, total_steps: int) -> float:
        del total_steps
        o = self._options
        return o.rate * warmup_factor(step=step, warmup_steps=o.warmup_steps)


@final
class Steps(LearningRate):
    """Falls by a factor at fractions of the run."""

    def __init__(self, options: StepsOptions) -> None:
        self._options = options

    def at(self, *, step: int, total_steps: int) -> float:
        o = self._options
        fallen = sum(step >= drop * total_steps for drop in o.drops)
        warm = warmup_factor(step=step, warmup_steps=o.warmup_steps)
        return float(o.rate * o.factor**fallen * warm)


@final
class Cosine(LearningRate):
    """Falls along half a cosine to a share of what it was."""

    def __init__(self, options: CosineOptions) -> None:
        self._options = options

    def at(self, *, step: int, total_steps: int) -> float:
        o = self._options
        progress = max(0.0, step / total_steps - o.begin) / (1 - o.begin)
        left = (1 + math.cos(math.pi * progress)) / 2
        share = o.final_fraction + (1 - o.final_fraction) * left
        return o.rate * share * warmup_factor(step=step, warmup_steps=o.warmup_steps)


@final
class InverseSqrt(LearningRate):
    """Falls as one over the root of the steps done, whatever the length of the run."""

    def __init__(self, options: InverseSqrtOptions) -> None:
        self._options = options

    def at(self, *, step: int, total_steps: int) -> float:
        del total_steps
        o = self._options
        warm = warmup_factor(step=step, warmup_steps=o.warmup_steps)
        return o.rate / math.sqrt(max(step / o.reference_steps, 1.0)) * warm
