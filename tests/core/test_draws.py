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


def drawn(objective: Objective, *, flips: bool = True, label_dropout: float = 0.0) -> Draws:
    return draw(
        objective,
        count=12,
        shape=SHAPE,
        schedule=ToySchedule(),
        progress=PROGRESS,
        generator=torch.Generator().manual_seed(7),
        flips=flips,
        label_dropout=label_dropout,
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


@pytest.mark.parametrize("flips", [False, True])
def test_dropped_labels_change_no_other_draw(*, flips: bool) -> None:
    """They are drawn last, for the whole batch, and sliced with it."""
    plain, dropping = (
        drawn(Drawing(), flips=flips),
        drawn(Drawing(), flips=flips, label_dropout=0.5),
    )
    for name, tensor in plain.values.items():
        assert torch.equal(dropping.values[name], tensor)
    assert plain.unlabelled is None
    assert dropping.unlabelled is not None
    assert 0 < int(dropping.unlabelled.sum()) < 12
    if plain.flipped is not None and dropping.flipped is not None:
        assert torch.equal(plain.flipped, dropping.flipped)
        assert not torch.equal(dropping.flipped, dropping.unlabelled)
    label = torch.arange(12) % 5
    parts = [
        dropping[place][slice(None)].drop(label[place], no_class=5) for place in equal_slices(12, 3)
    ]
    seen = torch.cat([part for part in parts if part is not None])
    for row, dropped in enumerate(dropping.unlabelled.tolist()):
        assert int(seen[row]) == (5 if dropped else int(label[row]))
    assert plain.drop(label, no_class=5) is label
    assert dropping.drop(None, no_class=5) is None


@pytest.mark.parametrize("probability", [0.1, 0.9])
def test_the_share_of_dropped_labels(probability: float) -> None:
    """Within four standard deviations of what is asked for, in 20,000 labels."""
    count = 20_000
    draws = draw(
        Drawing(),
        count=count,
        shape=ImageShape(channels=1, height=1, width=1),
        schedule=ToySchedule(),
        progress=PROGRESS,
        generator=torch.Generator().manual_seed(3),
        flips=False,
        label_dropout=probability,
    )
    assert draws.unlabelled is not None
    deviation = (probability * (1 - probability) / count) ** 0.5
    assert abs(float(draws.unlabelled.float().mean()) - probability) < 4 * deviation


@pytest.mark.parametrize("more", [-12, -1, 1])
def test_draws_that_cannot_be_sliced_are_refused(more: int) -> None:
    """One entry for each row, or the plugin is named."""
    with pytest.raises(PluginError, match="drew 'noise' of shape") as caught:
        drawn(Drawing(more))
    assert "for 12 rows" in str(caught.value)
    assert "Drawing" in str(caught.value)
