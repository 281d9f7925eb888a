"""Draws are made for the whole batch, and rows of them are those of the whole."""

from collections.abc import Mapping
from typing import final

import pytest
import torch
from torch import Tensor
from toys import SHAPE, ToySchedule

from dddm.core.draws import Draws, draw, equal_slices
from dddm.errors import PluginError
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, Outcome, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule

PROGRESS = TrainingProgress(step=3, total_steps=10, epoch=1)


@final
class Drawing(Objective):
    """Draws a level and noise for so many more rows than it was asked for."""

    def __init__(self, more: int = 0) -> None:
        self._more = more

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> Mapping[str, Tensor]:
        assert progress is PROGRESS
        return {
            "level": torch.rand(count, generator=generator),
            "noise": torch.randn(count + self._more, *shape.as_tuple, generator=generator),
        }

    def step(self, given: TrainingStep) -> Outcome:
        raise NotImplementedError


def drawn(objective: Objective, *, flips: bool = True) -> Draws:
    return draw(
        objective,
        count=12,
        shape=SHAPE,
        schedule=ToySchedule(),
        progress=PROGRESS,
        generator=torch.Generator().manual_seed(7),
        flips=flips,
    )


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_slices_together_are_the_whole(count: int) -> None:
    """By process and then by micro-batch: each number is that of its row, and none is left out."""
    whole = drawn(Drawing())
    parts = [whole[place] for place in equal_slices(12, count)]
    again = [part[slice(None)] for part in parts]
    for name, tensor in whole.values.items():
        assert torch.equal(torch.cat([part.values[name] for part in again]), tensor)
    assert whole.flipped is not None
    flipped = [part.flipped for part in again if part.flipped is not None]
    assert torch.equal(torch.cat(flipped), whole.flipped)
    assert [len(part.values["level"]) for part in parts] == [12 // count] * count


def test_without_flips_nothing_is_mirrored() -> None:
    """Images stay what they are, and slices have no flips either."""
    draws = drawn(Drawing(), flips=False)
    image = torch.rand(12, *SHAPE.as_tuple)
    assert draws.flipped is None
    assert draws[slice(0, 6)].flipped is None
    assert draws.flip(image) is image


def test_a_mirror_is_its_own_inverse() -> None:
    """Left and right change places where the draws say so, and only there."""
    draws = drawn(Drawing())
    assert draws.flipped is not None
    assert 0 < int(draws.flipped.sum()) < 12
    image = torch.rand(12, *SHAPE.as_tuple)
    seen = draws.flip(image)
    assert torch.equal(draws.flip(seen), image)
    for row, flipped in enumerate(draws.flipped.tolist()):
        assert torch.equal(seen[row], image[row].flip(-1) if flipped else image[row])


@pytest.mark.parametrize("more", [-12, -1, 1])
def test_draws_that_cannot_be_sliced_are_refused(more: int) -> None:
    """One entry for each row, or the plugin is named."""
    with pytest.raises(PluginError, match="drew 'noise' of shape") as caught:
        drawn(Drawing(more))
    assert "for 12 rows" in str(caught.value)
    assert "Drawing" in str(caught.value)
