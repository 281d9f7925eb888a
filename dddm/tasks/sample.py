"""Sampling: numbered images, each of which depends on the seed and its number alone.

Images are computed in blocks of consecutive numbers, always of the same size: the last block is
filled up and what is too much dropped.  So the same kernels run on the same shapes, and image k is
equal bit for bit however many images are asked for.

Legend: B images in a block, C channels, H rows, W columns.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.facts import ImageShape
from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index

BLOCK_IMAGES: Final = 64
"""Images computed together.  Another number changes the last bits of a sample."""


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
    """

    steps: Sequence[int]
    images: int
    seed: int
    shape: ImageShape
    classes: int
    labels: tuple[int, ...] | None = None

    def label_of(self, index_B: Tensor) -> Tensor | None:
        """Classes (B,), int64, of the images with these numbers; None without classes."""
        if self.classes == 0:
            return None
        turn = torch.tensor(self.labels if self.labels is not None else range(self.classes))
        return turn[index_B % len(turn)]


@final
@frozen(kw_only=True)
class Block:
    """Finished images of consecutive numbers.

    Attributes:
        first: number of the first.
        images: (B, C, H, W), uint8, CPU, by step count.
        label: (B,), int64, or None.
        evaluations: how often the network was evaluated for each image of the block.
    """

    first: int
    images: dict[int, Tensor]
    label: Tensor | None
    evaluations: int


@torch.no_grad()
def draw_samples(
    *,
    model: Denoiser,
    sampler: Sampler,
    order: Order,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda _images, _evaluations: None,
) -> Iterator[Block]:
    """Draw the samples of `order`, block by block.

    Args:
        progress: told how many images are finished and how many evaluations of a block are done,
            after each evaluation; what it raises ends the drawing.

    Raises:
        ValueError: if the schedule has fewer times than there are steps.
    """
    each = sum(passes_of(order, sampler))
    for number, first in enumerate(range(0, order.images, BLOCK_IMAGES)):
        index_B = torch.arange(first, first + BLOCK_IMAGES)
        wanted = min(BLOCK_IMAGES, order.images - first)
        label_B = order.label_of(index_B)
        images = _draw_block(
            model=model,
            sampler=sampler,
            order=order,
            index_B=index_B,
            device=device,
            progress=partial(_within, progress, images=first, evaluations=number * each),
        )
        progress(first + wanted, (number + 1) * each)
        yield Block(
            first=first,
            images={steps: images_BCHW[:wanted] for steps, images_BCHW in images.items()},
            label=None if label_B is None else label_B[:wanted],
            evaluations=each,
        )


def passes_of(order: Order, sampler: Sampler) -> list[int]:
    """Step counts of the passes that serve all of the order's step counts.

    A nested sampler passes through the shorter runs on its way to the longest.
    """
    return [max(order.steps)] if sampler.nested else sorted(set(order.steps))


def evaluations_of(order: Order, sampler: Sampler) -> int:
    """How often the network is evaluated, on one block each time, for the whole order."""
    return math.ceil(order.images / BLOCK_IMAGES) * sum(passes_of(order, sampler))


def _within(
    progress: Callable[[int, int], None], done: int, *, images: int, evaluations: int
) -> None:
    progress(images, evaluations + done)


def _draw_block(
    *,
    model: Denoiser,
    sampler: Sampler,
    order: Order,
    index_B: Tensor,
    device: torch.device,
    progress: Callable[[int], None],
) -> dict[int, Tensor]:
    noise_BCHW, estimate_BCHW = (
        noise_by_index(
            seed=order.seed, purpose=purpose, index=index_B, shape=order.shape.as_tuple
        ).to(device)
        for purpose in ("sample x_T", "sample estimate")
    )
    label_B = order.label_of(index_B)
    label_B = None if label_B is None else label_B.to(device)
    x_T_BCHW = model.schedule.prior(noise=noise_BCHW)
    images: dict[int, Tensor] = {}
    passes = passes_of(order, sampler)
    done, evaluations = 0, sum(passes)
    for steps in passes:
        estimates = sampler.sample(
            model=model,
            x_T=x_T_BCHW,
            first_estimate=estimate_BCHW,
            label=label_B,
            steps=steps,
        )
        for step, estimate in enumerate(estimates, start=1):
            if step == steps or (sampler.nested and step in order.steps):
                images[step] = to_uint8(estimate).cpu()
            done += 1
            if done < evaluations:  # the last is reported with the images that it finishes
                progress(done)
    return images
