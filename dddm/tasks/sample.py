"""Sampling: numbered images, each of which depends on the seed and its number alone.

Images are computed in blocks of consecutive numbers, always of the same size: the last block is
filled up and what is too much dropped.  So the same kernels run on the same shapes, and image k is
equal bit for bit however many images are asked for, and whichever process computes its block.

Legend: B images in a block, C channels, H rows, W columns, K steps that are marked.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.facts import ImageShape
from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.interfaces.schedule import Schedule
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index

BLOCK_IMAGES: Final = 64
"""Images computed together.  Another number changes the last bits of a sample."""

NOISE_OF_X_T: Final = "sample x_T"
"""What the noise in x_T is for, in `noise_by_index`."""


@final
@frozen(kw_only=True)
class Order:
    """Which samples are wanted.

    Attributes:
        steps: step counts, in any order, each at least 1.
        images: how many; their numbers are 0…images-1.
        seed: of noise.
        shape: of one image.
        classes: of the network; 0 for one without.
        labels: classes that images take in turn; None takes all of them in turn.
        block_images: how many are computed together.
    """

    steps: Sequence[int]
    images: int
    seed: int
    shape: ImageShape
    classes: int
    labels: tuple[int, ...] | None = None
    block_images: int = BLOCK_IMAGES

    @property
    def blocks(self) -> int:
        """How many blocks there are; the last may hold more images than are wanted."""
        return math.ceil(self.images / self.block_images)

    def label_of(self, index_B: Tensor) -> Tensor | None:
        """Classes (B,), int64, of the images with these numbers; None without classes."""
        if self.classes == 0:
            return None
        turn = torch.tensor(self.labels if self.labels is not None else range(self.classes))
        return turn[index_B % len(turn)]


@final
@frozen(kw_only=True)
class Block:
    """Finished images of consecutive numbers; always a whole block, also the last.

    Attributes:
        number: of the block, from 0.
        images: (B, C, H, W), uint8, CPU, by step count.
        change: (B, K), float32, CPU, by step count: how far the estimate of each image moved in
            the steps `marks(step count)`, as a root of the mean square over its values in [-1, 1].
        evaluations: of the network, summed over the images of the block.
    """

    number: int
    images: dict[int, Tensor]
    change: dict[int, Tensor]
    evaluations: int


@final
class _Counting(Denoiser):
    """A denoiser that counts the images it was evaluated on."""

    def __init__(self, model: Denoiser) -> None:
        self._model = model
        self.evaluations = 0

    @property
    def schedule(self) -> Schedule:
        """The forward process."""
        return self._model.schedule

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        """What of f depends on (x_t, t, label) alone."""
        return self._model.begin(x_t=x_t, t=t, label=label)

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        """f_θ(x̂, x_t, t)."""
        self.evaluations += len(estimate)
        return self._model.refine(begun, estimate=estimate)

    def select(self, begun: Any, *, index: Tensor) -> Any:
        """What `begin` would have returned for these images alone."""
        return self._model.select(begun, index=index)


def marks(steps: int) -> list[int]:
    """The steps of a run at which the change of the estimate is noted: 1, 2, 5, 10, …, the last."""
    round_numbers = (digit * 10**power for power in range(7) for digit in (1, 2, 5))
    return sorted({count for count in round_numbers if count < steps} | {steps})


@torch.no_grad()
def draw_blocks(
    *,
    model: Denoiser,
    sampler: Sampler,
    order: Order,
    device: torch.device,
    numbers: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda _blocks, _evaluations: None,
) -> Iterator[Block]:
    """Draw the samples of `order`, block by block.

    Args:
        numbers: of the blocks that are wanted; None for all.
        progress: told how many blocks are finished and how many evaluations of a block are done,
            after each evaluation; what it raises ends the drawing.

    Raises:
        ValueError: if the schedule has fewer times than there are steps.
    """
    wanted = range(order.blocks) if numbers is None else numbers
    each = sum(passes_of(order, sampler))
    for done, number in enumerate(wanted):
        block = _draw_block(
            number,
            model=model,
            sampler=sampler,
            order=order,
            device=device,
            progress=partial(_within, progress, blocks=done, evaluations=done * each),
        )
        progress(done + 1, (done + 1) * each)
        yield block


def draw_images(
    *, model: Denoiser, sampler: Sampler, order: Order, device: torch.device
) -> dict[int, Tensor]:
    """All images of `order`, (N, C, H, W), uint8, CPU, by step count; for few of them."""
    blocks = list(draw_blocks(model=model, sampler=sampler, order=order, device=device))
    return {
        steps: torch.cat([block.images[steps] for block in blocks])[: order.images]
        for steps in order.steps
    }


def passes_of(order: Order, sampler: Sampler) -> list[int]:
    """Step counts of the passes that serve all of the order's step counts.

    A nested sampler passes through the shorter runs on its way to the longest.
    """
    return [max(order.steps)] if sampler.nested else sorted(set(order.steps))


def _within(
    progress: Callable[[int, int], None], done: int, *, blocks: int, evaluations: int
) -> None:
    progress(blocks, evaluations + done)


def _draw_block(
    number: int,
    *,
    model: Denoiser,
    sampler: Sampler,
    order: Order,
    device: torch.device,
    progress: Callable[[int], None],
) -> Block:
    first = number * order.block_images
    index_B = torch.arange(first, first + order.block_images)
    noise_BCHW, estimate_BCHW = (
        noise_by_index(
            seed=order.seed, purpose=purpose, index=index_B, shape=order.shape.as_tuple
        ).to(device)
        for purpose in (NOISE_OF_X_T, "sample estimate")
    )
    label_B = order.label_of(index_B)
    label_B = None if label_B is None else label_B.to(device)
    x_T_BCHW = model.schedule.prior(noise=noise_BCHW)
    images: dict[int, Tensor] = {}
    change: dict[int, Tensor] = {}
    passes = passes_of(order, sampler)
    done, evaluations = 0, sum(passes)
    counting = _Counting(model)
    for steps in passes:
        wanted = {count for count in order.steps if count == steps or sampler.nested}
        marked = {mark for count in wanted for mark in marks(count)}
        moved: dict[int, Tensor] = {}
        before_BCHW = estimate_BCHW
        estimates = sampler.sample(
            model=counting,
            x_T=x_T_BCHW,
            first_estimate=estimate_BCHW,
            label=label_B,
            steps=steps,
        )
        for step, now_BCHW in enumerate(estimates, start=1):
            if step in marked:
                moved[step] = _root_mean_square(now_BCHW - before_BCHW)
            if step in wanted:
                images[step] = to_uint8(now_BCHW).cpu()
            before_BCHW = now_BCHW
            done += 1
            if done < evaluations:  # the last is reported with the block that it finishes
                progress(done)
        for count in wanted:
            change[count] = torch.stack([moved[mark] for mark in marks(count)], dim=1).cpu()
    return Block(number=number, images=images, change=change, evaluations=counting.evaluations)


def _root_mean_square(difference_BCHW: Tensor) -> Tensor:
    """√mean(d²) of each image, (B,), float32."""
    return difference_BCHW.float().square().mean(dim=(1, 2, 3)).sqrt()
