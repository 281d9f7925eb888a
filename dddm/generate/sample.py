"""Sampling: numbered images, each of which depends on the seed and its number alone.

Images are computed in blocks of consecutive numbers, always of the same size: the last block is
filled up and what is too much dropped.  So the same kernels run on the same shapes, and image k is
equal bit for bit however many images are asked for, and whichever process computes its block.

Legend: B images in a block, C channels, H rows, W columns, K steps that are marked.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import UsageError
from dddm.generate.generator import Generator
from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.interfaces.schedule import Schedule
from dddm.recipe.model import SampleSpec
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index

NOISE_OF_X_T: Final = "sample x_T"
"""What the noise in x_T is for, in `noise_by_index`."""


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
    """A denoiser that counts its evaluations.

    Attributes:
        calls: of `refine`.
        evaluations: the same, summed over the images of each call.
    """

    def __init__(self, model: Denoiser) -> None:
        self._model = model
        self.calls = 0
        self.evaluations = 0

    @property
    def schedule(self) -> Schedule:
        """The forward process."""
        return self._model.schedule

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Any:
        """What of f depends on all but the estimate."""
        return self._model.begin(x_t=x_t, t=t, label=label, second_time=second_time)

    def refine(self, cache: Any, *, estimate: Tensor | None) -> Tensor:
        """f_θ(x̂, x_t, t)."""
        refined = self._model.refine(cache, estimate=estimate)
        self.calls += 1
        self.evaluations += len(refined)
        return refined

    def select(self, cache: Any, *, index: Tensor) -> Any:
        """What `begin` would have returned for these images alone."""
        return self._model.select(cache, index=index)


def build_sampler(spec: SampleSpec) -> Sampler:
    """The sampler that a recipe or a command names."""
    sampler: Sampler = spec.sampler.instantiate()
    return sampler


def passes_of(sampler: Sampler, steps: Sequence[int]) -> list[int]:
    """Step counts of the passes that serve all of `steps`.

    A prefix-consistent sampler passes through the shorter runs on its way to the longest.
    """
    return [max(steps)] if sampler.prefix_consistent else sorted(set(steps))


def evaluations_of_image(sampler: Sampler, steps: Sequence[int]) -> int:
    """Network evaluations for one image at all of `steps`, summed over the passes."""
    return sum(map(sampler.evaluations, passes_of(sampler, steps)))


def refuse_too_many_steps(spec: SampleSpec, *, sampler: Sampler, schedule: Schedule) -> None:
    """Refuse step counts for which the schedule has not enough times.

    Raises:
        UsageError: with the largest number of steps that there is.
    """
    if sampler.prefix_consistent:
        return
    try:
        schedule.grid(steps=max(spec.steps))
    except ValueError as error:
        raise UsageError(
            f"the sampler {spec.name} visits a new time at each step: {error}",
            where="steps",
            remedy="ask for fewer steps, or use a sampler that stays at one time",
        ) from error


def choose_labels(
    labels: Sequence[str] | None, *, classes: Sequence[str]
) -> tuple[int, ...] | None:
    """Numbers of classes from their names or numbers; None for all in turn.

    Raises:
        UsageError: if the network has no classes, or not this one.
    """
    if labels is None:
        return None
    if not classes:
        raise UsageError(
            "this network was trained without classes", where="--labels", remedy="leave it out"
        )
    return tuple(_label(word.strip(), classes) for word in labels)


def _label(word: str, classes: Sequence[str]) -> int:
    if word in classes:
        return classes.index(word)
    if word.isascii() and word.isdigit() and int(word) < len(classes):
        return int(word)
    known = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")  # noqa: PLR2004
    raise UsageError(
        f"there is no class {word!r}",
        where="--labels",
        remedy=f"choose among {known}, or a number from 0 to {len(classes) - 1}",
    )


def label_of(spec: SampleSpec, index_B: Tensor, *, classes: Sequence[str]) -> Tensor | None:
    """Classes (B,), int64, of the images with these numbers; None without classes."""
    chosen = choose_labels(spec.labels, classes=classes)
    if not classes:
        return None
    turn = torch.tensor(range(len(classes)) if chosen is None else chosen)
    return turn[index_B % len(turn)]


def marks(steps: int) -> list[int]:
    """The steps of a run at which the change of the estimate is noted: 1, 2, 5, 10, …, the last."""
    round_numbers = (digit * 10**power for power in range(7) for digit in (1, 2, 5))
    return sorted({count for count in round_numbers if count < steps} | {steps})


@torch.no_grad()
def generate_blocks(
    spec: SampleSpec,
    *,
    generator: Generator,
    sampler: Sampler,
    numbers: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda _blocks, _evaluations: None,
) -> Iterator[Block]:
    """Generate the samples of `spec`, block by block.

    Args:
        sampler: that of `spec`, or one that it is compared with.
        numbers: of the blocks that are wanted; None for all.
        progress: told after each step how many blocks are finished, and how many network
            evaluations, each of a block, are done; what it raises ends the work.

    Raises:
        UsageError: for an unknown label.
        ValueError: if the schedule has fewer times than there are steps.
    """
    wanted = range(spec.blocks) if numbers is None else numbers
    each = evaluations_of_image(sampler, spec.steps)
    for done, number in enumerate(wanted):
        block = _generate_block(
            number,
            spec=spec,
            generator=generator,
            sampler=sampler,
            progress=partial(_within, progress, blocks=done, evaluations=done * each),
        )
        progress(done + 1, (done + 1) * each)
        yield block


def generate_images(
    spec: SampleSpec, *, generator: Generator, sampler: Sampler | None = None
) -> dict[int, Tensor]:
    """All images of `spec`, (N, C, H, W), uint8, CPU, by step count; for few of them.

    Args:
        sampler: that of `spec`, if it is built already.
    """
    sampler = sampler or build_sampler(spec)
    blocks = list(generate_blocks(spec, generator=generator, sampler=sampler))
    return {
        steps: torch.cat([block.images[steps] for block in blocks])[: spec.images]
        for steps in spec.steps
    }


def _within(
    progress: Callable[[int, int], None], done: int, *, blocks: int, evaluations: int
) -> None:
    progress(blocks, evaluations + done)


def _generate_block(
    number: int,
    *,
    spec: SampleSpec,
    generator: Generator,
    sampler: Sampler,
    progress: Callable[[int], None],
) -> Block:
    first = number * spec.block_images
    index_B = torch.arange(first, first + spec.block_images)

    def noise_for(purpose: str) -> Tensor:
        shape = generator.shape.as_tuple
        noise_BCHW = noise_by_index(seed=spec.seed, purpose=purpose, index=index_B, shape=shape)
        return noise_BCHW.to(generator.device)

    x_T_BCHW = generator.model.schedule.prior(noise=noise_for(NOISE_OF_X_T))
    estimate_BCHW = noise_for("sample estimate")
    label_B = label_of(spec, index_B, classes=generator.classes)
    images: dict[int, Tensor] = {}
    change: dict[int, Tensor] = {}
    done, evaluations = 0, evaluations_of_image(sampler, spec.steps)
    counting = _Counting(generator.model)
    for steps in passes_of(sampler, spec.steps):
        wanted = {count for count in spec.steps if count == steps or sampler.prefix_consistent}
        marked = {mark for count in wanted for mark in marks(count)}
        moved: dict[int, Tensor] = {}
        before_BCHW = estimate_BCHW
        of_pass, calls_before = sampler.evaluations(steps), counting.calls
        estimates = sampler.sample(
            model=counting,
            x_T=x_T_BCHW,
            first_estimate=estimate_BCHW,
            label=None if label_B is None else label_B.to(generator.device),
            steps=steps,
            noise=lambda step: noise_for(f"sample step {step}"),
        )
        for step, now_BCHW in enumerate(estimates, start=1):
            if step in marked:
                moved[step] = _root_mean_square(now_BCHW - before_BCHW)
            if step in wanted:
                images[step] = to_uint8(now_BCHW).cpu()
            before_BCHW = now_BCHW
            # Never more than was announced, whatever the sampler does.
            so_far = done + min(counting.calls - calls_before, of_pass)
            if so_far < evaluations:  # the last is reported with the block that it finishes
                progress(so_far)
        done += of_pass
        for count in wanted:
            change[count] = torch.stack([moved[mark] for mark in marks(count)], dim=1).cpu()
    return Block(number=number, images=images, change=change, evaluations=counting.evaluations)


def _root_mean_square(difference_BCHW: Tensor) -> Tensor:
    """√mean(d²) of each image, (B,), float32."""
    return difference_BCHW.float().square().mean(dim=(1, 2, 3)).sqrt()
