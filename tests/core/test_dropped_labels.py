"""An objective sees dropped labels as one class more, and nothing else of them."""

from collections.abc import Mapping
from typing import Any, final

import pytest
import torch
from torch import Tensor

from dddm.core.draws import Draws, equal_slices
from dddm.core.step import StepParts, make_step, micro_batches
from dddm.interfaces.objective import Batch, Objective, Outcome, TrainingProgress, TrainingStep
from dddm.testing.toys import PATHS, ScalarDenoiser

DROPPED = [True, False, False, True, False, True]
LABEL = [0, 1, 2, 2, 1, 0]


@final
class Seeing(Objective):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Batch] = []

    def draw(self, **_: Any) -> Mapping[str, Tensor]:
        raise NotImplementedError

    def step(self, given: TrainingStep) -> Outcome:
        self.seen.append(given.batch)
        of_x_0 = given.denoiser.evaluate(
            x_t=given.batch.x_0, t=given.draws["t"], label=given.batch.label, estimate=None
        )
        return Outcome(loss=of_x_0.mean())


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("dropping", [False, True])
def test_labels_that_an_objective_sees(parts: int, *, dropping: bool) -> None:
    """Each row's, in micro-batches too; those of the batch itself stay as they are."""
    objective = Seeing()
    batch = Batch(
        index=torch.arange(6),
        x_0=torch.randn(6, 1, 2, 2),
        label=torch.tensor(LABEL),
        rows=torch.arange(6),
    )
    draws = Draws(
        values={"t": torch.rand(6, dtype=torch.float64)},
        flipped=None,
        unlabelled=torch.tensor(DROPPED) if dropping else None,
    )
    for part, place in zip(micro_batches(batch, parts), equal_slices(6, parts), strict=True):
        make_step(
            StepParts(
                objective=objective,
                denoiser=ScalarDenoiser(PATHS[1]),
                average=None,
                metric=None,
                classes=3,
            ),
            batch=part,
            draws=draws[place],
            memory={},
            progress=TrainingProgress(step=0, total_steps=1, epoch=0),
        )
    seen = torch.cat([one.label for one in objective.seen if one.label is not None])
    assert seen.tolist() == ([3, 1, 2, 3, 1, 3] if dropping else LABEL)
    assert torch.equal(torch.cat([one.x_0 for one in objective.seen]), batch.x_0)
    assert batch.label is not None
    assert batch.label.tolist() == LABEL
