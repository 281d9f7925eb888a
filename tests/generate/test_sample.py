"""Samples depend on the seed and their number alone."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import pytest
import torch
from attrs import evolve
from torch import Tensor
from toy_denoisers import ToyDenoiser, mixing
from toy_plugins import toy_catalogue
from toy_samplers import Heun, Jumping, Restarting
from toys import SHAPE, ToyBackbone, ToySchedule

from dddm.core.denoiser import ScheduledDenoiser
from dddm.errors import UsageError
from dddm.generate.generator import Generator
from dddm.generate.sample import (
    _one_ahead,
    evaluations_per_image,
    generate_blocks,
    generate_images,
    labels_of,
    recorded_steps,
)
from dddm.interfaces.plugin import Kind
from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.recipe.model import BLOCK_IMAGES, ComponentConfig, Guidance, SampleSpec


@final
class ToySampler(Sampler):
    """Algorithm 2 without clamping; `prefix_consistent` as it is told.

    Attributes:
        estimates: of the last call, from the first estimate on.
    """

    def __init__(self, *, prefixes: bool) -> None:
        self._prefixes = prefixes
        self.estimates: list[Tensor] = []

    @property
    def prefix_consistent(self) -> bool:
        return self._prefixes

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        t = model.schedule.grid(steps=1).expand(len(x_T))
        cache, estimate = model.begin(x_t=x_T, t=t, label=label), first_estimate
        self.estimates = [estimate]
        for _ in range(steps):
            estimate = model.refine(cache, estimate=estimate)
            self.estimates.append(estimate)
            yield estimate


def spec(*steps: int, images: int, seed: int = 0, **more: Any) -> SampleSpec:
    """Of a sampler that each test brings itself."""
    use = ComponentConfig(component=toy_catalogue().find(Kind.SAMPLER, "toy:steps"), options=None)
    return SampleSpec(sampler=use, steps=steps, images=images, seed=seed, **more)


def generator() -> Generator:
    backbone = ToyBackbone()
    return Generator(
        model=ScheduledDenoiser(schedule=ToySchedule(), backbone=backbone),
        backbone=backbone,
        device=torch.device("cpu"),
        shape=SHAPE,
        classes=(),
        step=0,
        checkpoint_sha256=None,
        weights="ema",
    )


def drawn(
    images: int, *, steps: tuple[int, ...] = (1, 3), prefixes: bool = True, seed: int = 0
) -> dict[int, Tensor]:
    wanted = spec(*steps, images=images, seed=seed)
    return generate_images(wanted, generator=generator(), sampler=ToySampler(prefixes=prefixes))


@pytest.mark.parametrize("images", [1, 5, BLOCK_IMAGES, BLOCK_IMAGES + 1])
def test_image_k_is_the_same_however_many_are_asked_for(images: int) -> None:
    """The first images of a long order are those of a short one, bit for bit."""
    many, few = drawn(3 * BLOCK_IMAGES - 1), drawn(images)
    for steps in (1, 3):
        assert len(few[steps]) == images
        assert torch.equal(many[steps][:images], few[steps])


def test_one_pass_of_a_prefix_consistent_sampler_gives_what_several_give() -> None:
    """Recording steps 1 and 3 on the way equals runs of 1 and of 3 steps."""
    together, apart = drawn(7, prefixes=True), drawn(7, prefixes=False)
    for steps in (1, 3):
        assert torch.equal(together[steps], apart[steps])


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [
        (ToySampler(prefixes=True), 3),
        (ToySampler(prefixes=False), 1 + 3),
        (Heun(None), 1 + 5),
        (Restarting(None), 1 + 3),
    ],
)
def test_progress_counts_every_evaluation(sampler: Sampler, evaluations: int) -> None:
    """It rises to the announced total, and blocks are reported when they are finished."""
    wanted = spec(3, 1, images=BLOCK_IMAGES + 2)
    assert evaluations_per_image(wanted, sampler=sampler) == evaluations
    seen: list[tuple[int, int]] = []
    blocks = generate_blocks(
        wanted,
        generator=generator(),
        sampler=sampler,
        progress=lambda blocks, evaluations: seen.append((blocks, evaluations)),
    )
    for block in blocks:
        assert block.evaluations == evaluations * BLOCK_IMAGES
    made = [evaluations for _, evaluations in seen]
    assert made == sorted(set(made))
    if not isinstance(sampler, Heun):
        assert made == list(range(1, 2 * evaluations + 1))
    assert (1, evaluations) in seen
    assert [found for found in seen if found[0] == 2] == [(2, 2 * evaluations)]


@pytest.mark.parametrize(("interval", "made"), [(None, 2 * (1 + 5)), ((1.5, 2.5), 1 + 5 + 2)])
def test_guidance_counts_twice(interval: tuple[float, float] | None, made: int) -> None:
    """Announced as if every evaluation were guided; counted as the network was asked.

    Heun's method visits the times 10, 7, 7, 3 and 3 in 3 steps, 10 in one: at 7 the noise level
    tan(7π/20) is 1.96, at the others 0.51 and more than 10¹⁵.
    """
    model = ToyDenoiser(ToySchedule(), mixing)
    guided = evolve(generator(), model=model, classes=("a", "b"), no_class=2)
    wanted = spec(3, 1, images=3, guidance=Guidance(scale=2.0, interval=interval))
    assert evaluations_per_image(wanted, sampler=Heun(None)) == 12
    seen: list[int] = []
    (block,) = generate_blocks(
        wanted,
        generator=guided,
        sampler=Heun(None),
        progress=lambda _, evaluations: seen.append(evaluations),
    )
    assert block.evaluations == made * BLOCK_IMAGES
    assert len(model.refined) == made
    assert seen == sorted(set(seen))
    assert seen[-1] == 12


def test_noise_of_the_next_step_is_drawn_meanwhile() -> None:
    """By the thread, in time for the network; none is drawn after the last step."""
    drawn: list[tuple[int, str]] = []

    def draw(step: int) -> Tensor:
        drawn.append((step, threading.current_thread().name))
        return torch.full((2,), float(step))

    with ThreadPoolExecutor(1, thread_name_prefix="aside") as thread:
        noise = _one_ahead(draw, steps=4, device=torch.device("cpu"), thread=thread)
        for step in (1, 2, 2, 4):  # a sampler may ask twice, or leave one out
            assert torch.equal(noise(step), torch.full((2,), float(step)))
    here = threading.current_thread().name
    names = [(step, "here" if name == here else "aside") for step, name in drawn]
    assert sorted(names) == [
        (1, "here"), (2, "aside"), (2, "here"), (3, "aside"), (4, "here"),
    ]  # fmt: skip


@pytest.mark.parametrize("block_images", [5, BLOCK_IMAGES])
def test_noise_of_a_step_is_that_of_the_image(block_images: int) -> None:
    """A sampler that draws gives image k whatever its block, their number and their order."""
    many, few = spec(1, 4, images=100), spec(4, images=7, block_images=block_images)
    expected = generate_images(many, generator=generator(), sampler=Restarting(None))[4]
    torch.manual_seed(3)
    found = generate_images(few, generator=generator(), sampler=Restarting(None))[4]
    # Another block size may tip the rounding of a value.
    assert (found.int() - expected[:7].int()).abs().max() <= (block_images != BLOCK_IMAGES)
    (alone,) = generate_blocks(many, generator=generator(), sampler=Restarting(None), numbers=[1])
    assert torch.equal(alone.images[4][: 100 - BLOCK_IMAGES], expected[BLOCK_IMAGES:])
    other = spec(4, images=7, seed=1)
    assert not torch.equal(
        generate_images(other, generator=generator(), sampler=Restarting(None))[4], found
    )


def test_a_block_is_the_same_alone() -> None:
    """Whichever process draws a block, and whatever it drew before: the same bits."""
    whole, sampler = drawn(3 * BLOCK_IMAGES), ToySampler(prefixes=True)
    wanted = spec(1, 3, images=3 * BLOCK_IMAGES)
    for block in generate_blocks(wanted, generator=generator(), sampler=sampler, numbers=[2, 0]):
        place = slice(block.number * BLOCK_IMAGES, (block.number + 1) * BLOCK_IMAGES)
        for steps in (1, 3):
            assert torch.equal(block.images[steps], whole[steps][place])


def test_another_block_size_changes_rounding_alone() -> None:
    """Blocks of 5 give the images of blocks of 64, up to one level of 255 where rounding tips."""
    wanted = spec(3, images=12, block_images=5)
    small = generate_images(wanted, generator=generator(), sampler=ToySampler(prefixes=True))[3]
    assert (small.int() - drawn(12, steps=(3,))[3].int()).abs().max() <= 1


def test_marks_are_round_numbers_and_the_last() -> None:
    """1, 2, 5, 10, … below the number of steps, and that number itself."""
    assert recorded_steps(1) == [1]
    assert recorded_steps(7) == [1, 2, 5, 7]
    assert recorded_steps(1000) == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


@pytest.mark.parametrize("prefixes", [True, False])
def test_the_change_of_estimates_is_their_distance(prefixes: bool) -> None:  # noqa: FBT001
    """At each mark it is the root mean square of the difference to the step before."""
    sampler = ToySampler(prefixes=prefixes)
    wanted = spec(1, 2, 4, images=1)
    (block,) = generate_blocks(wanted, generator=generator(), sampler=sampler)
    assert {steps: change.shape[1] for steps, change in block.change.items()} == {1: 1, 2: 2, 4: 3}
    for column, mark in enumerate(recorded_steps(4)):
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
    index, classes = torch.arange(5), ("cat", "dog", "owl")
    labels = labels_of(spec(1, images=5), index, classes=classes)
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 0, 1]
    asked = labels_of(spec(1, images=5, labels=("owl", "0")), index, classes=classes)
    assert asked is not None
    assert asked.tolist() == [2, 0, 2, 0, 2]


def test_classes_at_random() -> None:
    """All about equally often; image k's depends on the seed and k alone, not on its block."""
    index, classes = torch.arange(3000), ("cat", "dog", "owl")
    random = spec(1, images=3000, random_classes=True)
    labels = labels_of(random, index, classes=classes)
    assert labels is not None
    assert (torch.bincount(labels) - 1000).abs().max() < 130  # five deviations
    assert labels.tolist() != (index % 3).tolist()
    part = labels_of(random, index[17:30], classes=classes)
    assert part is not None
    assert torch.equal(part, labels[17:30])
    other = labels_of(spec(1, images=3000, seed=1, random_classes=True), index, classes=classes)
    assert other is not None
    assert 0.25 < (other == labels).float().mean() < 0.42
    asked = labels_of(
        spec(1, images=9, labels=("owl", "0"), random_classes=True), index, classes=classes
    )
    assert asked is not None
    assert set(asked.tolist()) == {0, 2}


def test_a_second_time_comes_to_the_network() -> None:
    """Whatever stands between a sampler and the network passes it on, as it is given."""
    model = ToyDenoiser(ToySchedule(), mixing)
    generate_images(
        spec(3, images=2, block_images=2),
        generator=evolve(generator(), model=model),
        sampler=Jumping(None),
    )
    seconds = [cache.second_time for cache in model.caches]
    times = [cache.t[0].item() for cache in model.caches]
    assert [None if r is None else r[0].item() for r in seconds] == [*times[1:], 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": 10**8 + 1}, "images is 100000001; it must be at most 100,000,000"),
        ({"images": 0}, "images is 0; it must be at least 1"),
        ({"block_images": 2**62}, "it must be at most 100,000"),
    ],
)
def test_numbers_that_no_memory_holds(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        spec(1, **{"images": 4, **change})
