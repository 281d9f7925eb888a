"""Samples depend on the seed and their number alone."""

from collections.abc import Iterator
from typing import final

import pytest
import torch
from torch import Tensor
from toys import SHAPE, ToyBackbone, ToySchedule

from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.method.denoiser import ScheduledDenoiser
from dddm.tasks.sample import BLOCK_IMAGES, Order, draw_blocks, draw_images, marks, passes_of


@final
class ToySampler(Sampler):
    """Algorithm 2 without clamping; `nested` as it is told.

    Attributes:
        estimates: of the last call, from the first estimate on.
    """

    def __init__(self, *, nested: bool) -> None:
        self._nested = nested
        self.estimates: list[Tensor] = []

    @property
    def nested(self) -> bool:
        return self._nested

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
    ) -> Iterator[Tensor]:
        t = model.schedule.grid(steps=1).expand(len(x_T))
        begun, estimate = model.begin(x_t=x_T, t=t, label=label), first_estimate
        self.estimates = [estimate]
        for _ in range(steps):
            estimate = model.refine(begun, estimate=estimate)
            self.estimates.append(estimate)
            yield estimate


def drawn(
    images: int, *, steps: tuple[int, ...] = (1, 3), nested: bool = True, seed: int = 0
) -> dict[int, Tensor]:
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=ToyBackbone())
    order = Order(steps=steps, images=images, seed=seed, shape=SHAPE, classes=0)
    sampler = ToySampler(nested=nested)
    return draw_images(model=model, sampler=sampler, order=order, device=torch.device("cpu"))


@pytest.mark.parametrize("images", [1, 5, BLOCK_IMAGES, BLOCK_IMAGES + 1])
def test_image_k_is_the_same_however_many_are_asked_for(images: int) -> None:
    """The first images of a long order are those of a short one, bit for bit."""
    many, few = drawn(3 * BLOCK_IMAGES - 1), drawn(images)
    for steps in (1, 3):
        assert len(few[steps]) == images
        assert torch.equal(many[steps][:images], few[steps])


def test_one_pass_of_a_nested_sampler_gives_what_several_give() -> None:
    """Recording steps 1 and 3 on the way equals runs of 1 and of 3 steps."""
    together, apart = drawn(7, nested=True), drawn(7, nested=False)
    for steps in (1, 3):
        assert torch.equal(together[steps], apart[steps])


@pytest.mark.parametrize("nested", [True, False])
def test_progress_counts_every_evaluation(nested: bool) -> None:  # noqa: FBT001
    """It rises by one to the announced total, and blocks are reported when they are finished."""
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=ToyBackbone())
    sampler = ToySampler(nested=nested)
    order = Order(steps=(3, 1), images=BLOCK_IMAGES + 2, seed=0, shape=SHAPE, classes=0)
    seen: list[tuple[int, int]] = []
    device = torch.device("cpu")
    for _ in draw_blocks(
        model=model,
        sampler=sampler,
        order=order,
        device=device,
        progress=lambda blocks, evaluations: seen.append((blocks, evaluations)),
    ):
        pass
    total = order.blocks * sum(passes_of(order, sampler))
    assert total == 2 * (3 if nested else 4)
    assert [evaluations for _, evaluations in seen] == list(range(1, total + 1))
    assert seen[total // 2 - 1][0] == 1
    assert [blocks for blocks, _ in seen].count(2) == 1


def test_a_block_is_the_same_alone() -> None:
    """Whichever process draws a block, and whatever it drew before: the same bits."""
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=ToyBackbone())
    order = Order(steps=(1, 3), images=3 * BLOCK_IMAGES, seed=0, shape=SHAPE, classes=0)
    whole = drawn(3 * BLOCK_IMAGES)
    device, sampler = torch.device("cpu"), ToySampler(nested=True)
    for block in draw_blocks(
        model=model, sampler=sampler, order=order, device=device, numbers=[2, 0]
    ):
        place = slice(block.number * BLOCK_IMAGES, (block.number + 1) * BLOCK_IMAGES)
        for steps in (1, 3):
            assert torch.equal(block.images[steps], whole[steps][place])


def test_another_block_size_changes_rounding_alone() -> None:
    """Blocks of 5 give the images of blocks of 64, up to one level of 255 where rounding tips."""
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=ToyBackbone())
    order = Order(steps=(3,), images=12, seed=0, shape=SHAPE, classes=0, block_images=5)
    device = torch.device("cpu")
    small = draw_images(model=model, sampler=ToySampler(nested=True), order=order, device=device)[3]
    assert (small.int() - drawn(12, steps=(3,))[3].int()).abs().max() <= 1


def test_marks_are_round_numbers_and_the_last() -> None:
    """1, 2, 5, 10, … below the number of steps, and that number itself."""
    assert marks(1) == [1]
    assert marks(7) == [1, 2, 5, 7]
    assert marks(1000) == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


@pytest.mark.parametrize("nested", [True, False])
def test_the_change_of_estimates_is_their_distance(nested: bool) -> None:  # noqa: FBT001
    """At each mark it is the root mean square of the difference to the step before."""
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=ToyBackbone())
    order = Order(steps=(1, 2, 4), images=1, seed=0, shape=SHAPE, classes=0)
    sampler, device = ToySampler(nested=nested), torch.device("cpu")
    (block,) = draw_blocks(model=model, sampler=sampler, order=order, device=device)
    assert {steps: change.shape[1] for steps, change in block.change.items()} == {1: 1, 2: 2, 4: 3}
    for column, mark in enumerate(marks(4)):
        apart = (
            (sampler.estimates[mark] - sampler.estimates[mark - 1])
            .square()
            .mean(dim=(1, 2, 3))
            .sqrt()
        )
        torch.testing.assert_close(block.change[4][:, column], apart)


def test_another_seed_gives_other_images() -> None:
    """No image of one seed stands in another's first hundred."""
    one, other = drawn(100)[1], drawn(100, seed=1)[1]
    assert not (one.flatten(1)[:, None] == other.flatten(1)[None]).all(-1).any()


def test_classes_are_taken_in_turn() -> None:
    """Image k has class k modulo the classes, or modulo the labels asked for."""
    order = Order(steps=(1,), images=5, seed=0, shape=SHAPE, classes=3)
    index = torch.arange(5)
    labels = order.label_of(index)
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 0, 1]
    asked = Order(steps=(1,), images=5, seed=0, shape=SHAPE, classes=3, labels=(2, 0)).label_of(
        index
    )
    assert asked is not None
    assert asked.tolist() == [2, 0, 2, 0, 2]
