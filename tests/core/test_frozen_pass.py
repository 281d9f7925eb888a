"""A pass without gradient drops what the pass with gradient drops, and moves no random state."""

from typing import Any, final

import torch
from toys import SHAPE, ToySchedule

from dddm.core.draws import Draws
from dddm.core.step import StepParts, make_step
from dddm.interfaces.objective import Batch, Objective, Outcome, TrainingProgress, TrainingStep
from dddm.testing import ToyDenoiser


@final
class Looks(Objective):
    """Draws as dropout does: in a pass with gradient, in one without, and once more."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def draw(self, **_: Any) -> dict[str, torch.Tensor]:
        return {}

    def step(self, given: TrainingStep) -> Outcome:
        weight = torch.ones((), requires_grad=True)
        self.seen.append(torch.rand(3))
        with given.frozen_pass():
            self.seen.append(torch.rand(3))
            assert not (weight * 2).requires_grad
        self.seen.append(torch.rand(3))
        return Outcome(loss=weight)


def test_a_frozen_pass_begins_as_the_step_did() -> None:
    """Its numbers are the first of the step, and those after it are the second."""
    looks, index = Looks(), torch.arange(2)
    parts = StepParts(
        objective=looks,
        denoiser=ToyDenoiser(ToySchedule(), lambda cache, _: cache.x_t),
        average=None,
        metric=None,
    )
    torch.manual_seed(5)
    make_step(
        parts,
        batch=Batch(index=index, x_0=torch.zeros(2, *SHAPE.as_tuple), label=None, rows=index),
        draws=Draws(values={}, flipped=None),
        memory={},
        progress=TrainingProgress(step=0, total_steps=1, epoch=0),
    )
    torch.manual_seed(5)
    first, second = torch.rand(3), torch.rand(3)
    for seen, expected in zip(looks.seen, (first, first, second), strict=True):
        assert torch.equal(seen, expected)
