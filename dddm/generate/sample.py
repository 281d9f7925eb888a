"""Generates numbered images, each of which depends on the seed and its number alone.

Images are computed in blocks of consecutive numbers, always of the same size: the last block is
computed whole and its surplus dropped.  So the same kernels run on the same shapes, and image k is
equal bit for bit however many images are asked for, and whichever process computes its block.

Legend: B images in a block, C channels, H rows, W columns, K recorded steps.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.core.guidance import GuidedDenoiser
from dddm.errors import UsageError
from dddm.generate.generator import Generator
from dddm.interfaces.info import ImageShape, ObjectiveInfo, SamplerInfo
from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.interfaces.schedule import Schedule
from dddm.recipe.model import Guidance, SampleSpec
from dddm.recipe.sampler_fit import misfits
from dddm.support.images import to_uint8
from dddm.support.noise import integers_by_index, noise_by_index
from dddm.support.single_thread_executor import single_thread_executor

NOISE_OF_X_T: Final = "sample x_T"
"""What the noise in x_T is for, in `noise_by_index`."""

RowNoise = Callable[[str, Tensor], Tensor]
"""N(0, I) noise by what it is for and the images' numbers (B,): (B, C, H, W), float32, CPU."""


def row_noise(*, seed: int, shape: ImageShape) -> RowNoise:
    """That of a seed."""

    def rows(purpose: str, index_B: Tensor) -> Tensor:
        return noise_by_index(seed=seed, purpose=purpose, index=index_B, shape=shape.as_tuple)

    return rows


@final
@frozen(kw_only=True)
class Block:
    """Finished images of consecutive numbers; always a whole block, also the last.

    Attributes:
        images: (B, C, H, W), uint8, CPU, by step count.
        change: (B, K), float32, CPU, by step count: how far each image's estimate moved in the
            steps `recorded_steps(step count)`, as root mean square over its values in [-1, 1].
        evaluations: of the network, summed over the images of the block.
    """

    number: int
    images: dict[int, Tensor]
    change: dict[int, Tensor]
    evaluations: int


@final
class _CountingDenoiser(Denoiser):
    """Counts calls of `refine`, and network evaluations: calls times the images in each."""

    def __init__(self, model: Denoiser) -> None:
        self._model = model
        self.calls = 0
        self.evaluations = 0

    @property
    def schedule(self) -> Schedule:
        return self._model.schedule

    @property
    def takes_latent(self) -> bool:
        return self._model.takes_latent

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Any:
        return self._model.begin(x_t=x_t, t=t, label=label, second_time=second_time)

    def refine(self, cache: Any, *, estimate: Tensor | None) -> Tensor:
        refined = self._model.refine(cache, estimate=estimate)
        self.calls += 1
        self.evaluations += len(refined)
        return refined

    def select(self, cache: Any, *, index: Tensor) -> Any:
        return self._model.select(cache, index=index)


def guided(model: Denoiser, *, guidance: Guidance | None, generator: Generator) -> Denoiser:
    """The denoiser `model` of a generator, guided if that is asked for."""
    if guidance is None:
        return model
    assert generator.no_class is not None, "`check_guidance` comes first"
    return GuidedDenoiser(
        model,
        no_class=generator.no_class,
        scale=guidance.scale,
        interval=guidance.interval,
    )


def passes(sampler: Sampler, steps: Sequence[int]) -> list[int]:
    """Step counts to run the sampler with, to get images at all of `steps`.

    A prefix-consistent sampler passes through the shorter runs on its way to the longest.
    """
    return [max(steps)] if sampler.prefix_consistent else sorted(set(steps))


def evaluations_at(spec: SampleSpec, *, sampler: Sampler, steps: int) -> int:
    """Network evaluations for one image in `steps` steps: with guidance two where one is usual.

    An upper bound where guidance is limited to an interval, or the sampler's number is one.
    """
    return sampler.evaluations(steps) * (1 if spec.guidance is None else 2)


def evaluations_per_image(spec: SampleSpec, *, sampler: Sampler) -> int:
    """Network evaluations for one image at all step counts of `spec`, summed over the passes."""
    return sum(
        evaluations_at(spec, sampler=sampler, steps=steps) for steps in passes(sampler, spec.steps)
    )


def check_guidance(guidance: Guidance | None, *, generator: Generator) -> None:
    """Check that the network can be guided, if that is asked for.

    Raises:
        UsageError: if it was always shown the class of an image, or never.
    """
    if guidance is None or generator.no_class is not None:
        return
    raise UsageError(
        "guidance needs label_dropout: this network was trained "
        + ("with the class of every image" if generator.classes else "without classes"),
        where="guidance",
        remedy="train it with label_dropout = 0.1 in [train], or leave guidance out",
    )


def check_sampler(spec: SampleSpec, *, generator: Generator) -> None:
    """Check that the sampler can use the network, as `dddm check` does for a recipe.

    Raises:
        UsageError: for what is wrong first.
    """
    sampler, objective = spec.sampler, generator.objective
    if objective is None:
        return
    found = misfits(
        (sampler.component.name, sampler.info(SamplerInfo) or SamplerInfo()),
        (objective.component.name, objective.info(ObjectiveInfo) or ObjectiveInfo()),
        steps=max(spec.steps),
    )
    for option, what, remedy in found:
        raise UsageError(what, where="sampler" if option == "use" else option, remedy=remedy)


def check_steps(spec: SampleSpec, *, sampler: Sampler, schedule: Schedule) -> None:
    """Check that the schedule has enough times for a sampler that visits one a step.

    Raises:
        UsageError: with the largest possible step count.
    """
    if sampler.prefix_consistent:
        return
    try:
        schedule.grid(steps=max(spec.steps))
    except ValueError as error:
        raise UsageError(
            f"the sampler {spec.sampler.component.name} visits a new time at each step: {error}",
            where="steps",
            remedy="use fewer steps, or a sampler that stays at one time, such as fixed-time",
        ) from error


def choose_labels(
    labels: Sequence[str] | None, *, classes: Sequence[str]
) -> tuple[int, ...] | None:
    """Class numbers from names or numbers; None for all classes in turn.

    Raises:
        UsageError: if the network has no classes, or not this one.
    """
    if labels is None:
        return None
    if not labels:
        raise UsageError("labels is empty", where="labels", remedy="name a class, or leave it out")
    if not classes:
        raise UsageError(
            "this network was trained without classes", where="labels", remedy="leave it out"
        )
    return tuple(_class_number(word.strip(), classes) for word in labels)


def _class_number(word: str, classes: Sequence[str]) -> int:
    if word in classes:
        return classes.index(word)
    if word.isascii() and word.isdigit() and int(word) < len(classes):
        return int(word)
    known = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")  # noqa: PLR2004
    raise UsageError(
        f"there is no class {word!r}",
        where="labels",
        remedy=f"use one of {known}, or a number from 0 to {len(classes) - 1}",
    )


def labels_of(spec: SampleSpec, index_B: Tensor, *, classes: Sequence[str]) -> Tensor | None:
    """Classes (B,), int64, of the images with these numbers; None without classes."""
    chosen = choose_labels(spec.labels, classes=classes)
    if not classes:
        return None
    turn = torch.tensor(range(len(classes)) if chosen is None else chosen)
    if spec.random_classes:
        index_B = integers_by_index(seed=spec.seed, purpose="class", index=index_B, below=len(turn))
    return turn[index_B % len(turn)]


def recorded_steps(steps: int) -> list[int]:
    """Steps at which the change of the estimate is recorded: 1, 2, 5, 10, … and the last."""
    round_numbers = (digit * 10**power for power in range(7) for digit in (1, 2, 5))
    return sorted({count for count in round_numbers if count < steps} | {steps})


def _one_ahead(
    draw: Callable[[int], Tensor], *, steps: int, device: torch.device, thread: Executor
) -> StepNoise:
    """Noise of each step of a pass; while the network computes, `thread` draws the next."""
    ahead: dict[int, Future[Tensor]] = {}

    def noise(step: int) -> Tensor:
        drawn = ahead.pop(step).result() if step in ahead else draw(step)
        if step < steps and step + 1 not in ahead:
            ahead[step + 1] = thread.submit(draw, step + 1)
        return drawn.to(device)

    return noise


@torch.no_grad()
def generate_blocks(
    spec: SampleSpec,
    *,
    generator: Generator,
    sampler: Sampler,
    noise: RowNoise | None = None,
    numbers: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda _blocks, _evaluations: None,
) -> Iterator[Block]:
    """Generate the samples of `spec`, block by block.

    Args:
        sampler: that of `spec`, or one that it is compared with.
        noise: None for that of the spec's seed.
        numbers: of the wanted blocks; None for all.
        progress: called after each step with the numbers of finished blocks and of network
            evaluations (of one image in each block); an exception that it raises ends the work.

    Raises:
        UsageError: for an unknown label.
        ValueError: if the schedule has fewer times than there are steps.
    """
    each = evaluations_per_image(spec, sampler=sampler)
    generator = generator.computing(spec)
    noise = noise or row_noise(seed=spec.seed, shape=generator.shape)
    wanted = list(range(spec.blocks) if numbers is None else numbers)
    # While one block is computed, a thread draws what the next begins with.
    thread = single_thread_executor("dddm-noise")
    try:
        ahead = [thread.submit(_first_noise, number, spec, noise) for number in wanted[:1]]
        for done, number in enumerate(wanted):

            def within_block(evaluations: int, done: int = done) -> None:
                progress(done, done * each + evaluations)

            first = ahead.pop().result()
            ahead += [
                thread.submit(_first_noise, following, spec, noise)
                for following in wanted[done + 1 : done + 2]
            ]
            block = _generate_block(
                number,
                first,
                noise=noise,
                spec=spec,
                generator=generator,
                sampler=sampler,
                progress=within_block,
                thread=thread,
            )
            progress(done + 1, (done + 1) * each)
            yield block
    finally:
        thread.shutdown(wait=True, cancel_futures=True)


def generate_images(
    spec: SampleSpec, *, generator: Generator, sampler: Sampler, noise: RowNoise | None = None
) -> dict[int, Tensor]:
    """All images of `spec`, (N, C, H, W), uint8, CPU, by step count; for numbers that fit memory.

    Args:
        sampler: that of `spec`.
        noise: None for that of the spec's seed.
    """
    blocks = list(generate_blocks(spec, generator=generator, sampler=sampler, noise=noise))
    return {
        steps: torch.cat([block.images[steps] for block in blocks])[: spec.images]
        for steps in spec.steps
    }


def _images_of(number: int, spec: SampleSpec) -> Tensor:
    """Numbers of the images of a block, (B,)."""
    first = number * spec.block_images
    return torch.arange(first, first + spec.block_images)


def _first_noise(number: int, spec: SampleSpec, noise: RowNoise) -> tuple[Tensor, Tensor]:
    """Of x_T, and the first estimate, (B, C, H, W) each, on the CPU."""
    index_B = _images_of(number, spec)
    return noise(NOISE_OF_X_T, index_B), noise("sample estimate", index_B)


def _generate_block(
    number: int,
    first: tuple[Tensor, Tensor],
    *,
    noise: RowNoise,
    spec: SampleSpec,
    generator: Generator,
    sampler: Sampler,
    progress: Callable[[int], None],
    thread: Executor,
) -> Block:
    index_B = _images_of(number, spec)
    x_T_BCHW, estimate_BCHW = (tensor.to(generator.device) for tensor in first)
    x_T_BCHW = generator.model.schedule.prior(noise=x_T_BCHW)
    label_B = labels_of(spec, index_B, classes=generator.classes)
    images: dict[int, Tensor] = {}
    change: dict[int, Tensor] = {}
    done, evaluations = 0, evaluations_per_image(spec, sampler=sampler)
    counting = _CountingDenoiser(generator.model)
    model = guided(counting, guidance=spec.guidance, generator=generator)
    for steps in passes(sampler, spec.steps):
        wanted = {count for count in spec.steps if count == steps or sampler.prefix_consistent}
        recorded = {step for count in wanted for step in recorded_steps(count)}
        moved: dict[int, Tensor] = {}
        before_BCHW = estimate_BCHW
        in_pass = evaluations_at(spec, sampler=sampler, steps=steps)
        calls_before = counting.calls
        estimates = sampler.sample(
            model=model,
            x_T=x_T_BCHW,
            first_estimate=estimate_BCHW,
            label=None if label_B is None else label_B.to(generator.device),
            steps=steps,
            noise=_one_ahead(
                lambda step: noise(f"sample step {step}", index_B),
                steps=steps,
                device=generator.device,
                thread=thread,
            ),
        )
        for step, now_BCHW in enumerate(estimates, start=1):
            if step in recorded:
                difference_BCHW = (now_BCHW - before_BCHW).float()
                moved[step] = difference_BCHW.square().mean(dim=(1, 2, 3)).sqrt()
            if step in wanted:
                images[step] = to_uint8(now_BCHW).cpu()
            before_BCHW = now_BCHW
            # A sampler of a plugin may make more evaluations than it said.
            so_far = done + min(counting.calls - calls_before, in_pass)
            if so_far < evaluations:  # the last is reported with the block that it finishes
                progress(so_far)
        done += in_pass
        for count in wanted:
            change[count] = torch.stack(
                [moved[step] for step in recorded_steps(count)], dim=1
            ).cpu()
    return Block(number=number, images=images, change=change, evaluations=counting.evaluations)
