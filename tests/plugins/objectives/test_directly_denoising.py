"""Algorithm 1 on one batch: what `directly-denoising` draws and computes."""

from dataclasses import replace
from typing import Any, final

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from image_pairs import image_pairs
from torch import Tensor
from toys import SHAPE, ToyBackbone, ToyMetric, ToySchedule

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.draws import Draws, draw, equal_slices
from dddm.core.step import StepParts, make_step, micro_batches, refuse_not_finite
from dddm.errors import TrainingFailed
from dddm.interfaces.info import MemoryField
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import Batch, Outcome, TrainingProgress
from dddm.interfaces.plugin import NoOptions
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule
from dddm.support.noise import noise_by_index
from dddm_metrics.pixels import L1
from dddm_objectives.directly_denoising import DirectlyDenoising
from dddm_objectives.options import DirectlyDenoisingOptions, describe_directly_denoising

NONE = Draws(values={}, flipped=None)


def progress(epoch: int = 0) -> TrainingProgress:
    return TrainingProgress(step=epoch, total_steps=1 << 20, epoch=epoch)


def make_batch(count: int = 6) -> Batch:
    """Every second image of a data set, with its row of the memory."""
    index = torch.arange(count) * 2
    x_0 = torch.rand(count, *SHAPE.as_tuple) * 2 - 1
    return Batch(index=index, x_0=x_0, label=None, rows=index)


def memory_of(batch: Batch) -> dict[str, Tensor]:
    """X̂ before it was written."""
    noise = noise_by_index(seed=0, purpose="store", index=batch.rows, shape=SHAPE.as_tuple)
    return {"estimate": noise}


def objective(**options: Any) -> DirectlyDenoising:
    return DirectlyDenoising(DirectlyDenoisingOptions(**options))


def draws_for(batch: Batch, *, seed: int = 1, flips: bool = False, **options: Any) -> Draws:
    return draw(
        objective(**options),
        count=len(batch.x_0),
        shape=SHAPE,
        schedule=ToySchedule(),
        progress=progress(),
        generator=torch.Generator().manual_seed(seed),
        flips=flips,
    )


def step(
    batch: Batch,
    draws: Draws,
    *,
    metric: Metric | None = None,
    memory: dict[str, Tensor] | None = None,
    epoch: int = 0,
    backbone: ToyBackbone | None = None,
    **options: Any,
) -> Outcome:
    """What the objective gives for these rows, as the core asks it."""
    return make_step(
        StepParts(
            objective=objective(**options),
            denoiser=ScheduledDenoiser(schedule=ToySchedule(), backbone=backbone or ToyBackbone()),
            average=None,
            metric=metric or ToyMetric(),
            mirrored=frozenset({"estimate"}),
        ),
        batch=batch,
        draws=draws,
        memory=memory_of(batch) if memory is None else memory,
        progress=progress(epoch),
    )


def test_estimate_and_loss_are_those_of_the_paper() -> None:
    """x̂' = x_t − F(x̂, x_t, t) with x̂ from the store, and the loss is the mean of d(x̂', x_0)."""
    batch, backbone = make_batch(), ToyBackbone()
    draws = draws_for(batch)
    outcome = step(batch, draws, backbone=backbone)
    angle = draws.values["t"].double() * (torch.pi / 20)
    x_t = (
        angle.cos().float().view(-1, 1, 1, 1) * batch.x_0
        + angle.sin().float().view(-1, 1, 1, 1) * draws.values["noise"]
    )
    a, b, c = backbone.weights.detach()
    by_hand = x_t - (a * memory_of(batch)["estimate"] + b * x_t + c)
    assert outcome.loss_B is not None
    torch.testing.assert_close(outcome.memory["estimate"], by_hand)
    torch.testing.assert_close(outcome.loss.detach(), (by_hand - batch.x_0).square().mean())
    by_image_B = (by_hand - batch.x_0).square().flatten(1).mean(1)
    torch.testing.assert_close(outcome.loss_B.detach(), by_image_B)
    assert outcome.written is None
    assert not outcome.numbers


def test_one_forward_pass_serves_loss_and_estimate() -> None:
    """The network is evaluated once, with dropout and guided mix too, and X̂ is left as it was."""
    every: list[dict[str, Any]] = [{}, {"estimate_dropout": 0.5}, {"guided_mix": True}]
    for options in every:
        batch, backbone = make_batch(), ToyBackbone()
        memory = memory_of(batch)
        draws = draws_for(batch, **options)
        outcome = step(batch, draws, backbone=backbone, memory=memory, epoch=3, **options)
        assert (backbone.begins, backbone.refined) == (1, 1)
        assert torch.equal(memory["estimate"], memory_of(batch)["estimate"])
        assert not outcome.memory["estimate"].requires_grad
        assert outcome.loss.requires_grad


def test_no_gradient_flows_into_what_is_stored() -> None:
    """The gradient of the loss is that of the weights alone: rows of X̂ are constants."""
    batch, backbone = make_batch(), ToyBackbone()
    memory = memory_of(batch)
    outcome = step(batch, draws_for(batch), backbone=backbone, memory=memory)
    outcome.loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
    assert backbone.weights.grad is not None
    assert backbone.weights.grad.abs().min() > 0
    assert not memory["estimate"].requires_grad


def test_draws_depend_on_the_generator_alone() -> None:
    """Equal seeds give equal times, noise and dropout; another seed gives others."""
    batch = make_batch()
    first = draws_for(batch, seed=3, estimate_dropout=0.5)
    torch.rand(17)
    again = draws_for(batch, seed=3, estimate_dropout=0.5)
    other = draws_for(batch, seed=4, estimate_dropout=0.5)
    assert set(first.values) == {"t", "noise", "dropped", "dropout_noise"}
    for name, tensor in first.values.items():
        assert torch.equal(tensor, again.values[name])
    assert not torch.equal(first.values["noise"], other.values["noise"])


def test_options_change_no_other_draw() -> None:
    """Times and noise are those of a run without dropout and without flips."""
    batch = make_batch(400)
    plain = draws_for(batch)
    assert set(plain.values) == {"t", "noise"}
    assert plain.flipped is None
    flipped, dropped = draws_for(batch, flips=True), draws_for(batch, estimate_dropout=0.5)
    for name, tensor in plain.values.items():
        assert torch.equal(flipped.values[name], tensor)
        assert torch.equal(dropped.values[name], tensor)
    assert flipped.flipped is not None
    assert 150 < int(flipped.flipped.sum()) < 250


@final
class Seeing(Denoiser):
    """A denoiser that keeps the x̂ it was given, and answers with the noisy image."""

    schedule: Schedule = ToySchedule()

    def __init__(self) -> None:
        self.given: Tensor | None = None
        self._gain = torch.ones((), requires_grad=True)

    def begin(self, *, x_t: Tensor, **_: Any) -> Tensor:
        return x_t

    def refine(self, cache: Tensor, *, estimate: Tensor | None) -> Tensor:
        self.given = estimate
        return cache * self._gain

    def select(self, cache: Tensor, *, index: Tensor) -> Tensor:
        raise NotImplementedError


def estimates_given(
    batch: Batch, draws: Draws, memory: dict[str, Tensor], **options: Any
) -> Tensor:
    """What the network is given as x̂."""
    seeing = Seeing()
    make_step(
        StepParts(
            objective=objective(**options), denoiser=seeing, average=None, metric=ToyMetric()
        ),
        batch=batch,
        draws=draws,
        memory=memory,
        progress=progress(),
    )
    assert seeing.given is not None
    return seeing.given


@pytest.mark.parametrize(("probability", "kept"), [(0.0, True), (1.0, False)])
def test_dropout_keeps_all_or_replaces_all(probability: float, kept: bool) -> None:  # noqa: FBT001
    """At probability 0 the stored estimate is used, at 1 fresh noise in its place."""
    batch = make_batch()
    memory = memory_of(batch)
    options: dict[str, Any] = {"estimate_dropout": probability}
    draws = draws_for(batch, **options)
    used = estimates_given(batch, draws, memory, **options)
    assert torch.equal(used, memory["estimate"] if kept else draws.values["dropout_noise"])


def test_dropout_has_its_probability() -> None:
    """About a third of many estimates are dropped at p = 1/3, each whole."""
    batch = make_batch(3000)
    options: dict[str, Any] = {"estimate_dropout": 1 / 3}
    draws = draws_for(batch, **options)
    dropped_B = draws.values["dropped"]
    assert abs(dropped_B.double().mean() - 1 / 3) < 4 * (2 / 9 / 3000) ** 0.5
    memory = {"estimate": torch.zeros_like(batch.x_0)}
    used = estimates_given(batch, draws, memory, **options)
    assert torch.equal(used.flatten(1).ne(0).all(1), dropped_B)
    assert torch.equal(used.flatten(1).ne(0).any(1), dropped_B)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", ["loss", "estimate"])
def test_a_number_that_is_not_finite_is_refused_with_its_image(bad: float, place: str) -> None:
    """One bad pixel or loss stops the run and names step, data set index, terms and time."""
    batch = make_batch()
    draws = draws_for(batch, estimate_dropout=0.5)
    outcome = step(batch, draws)
    assert outcome.loss_B is not None
    outcome = replace(outcome, loss_B=outcome.loss_B.detach())
    refuse_not_finite(outcome, batch=batch, draws=draws, step=7, remedy=lambda _: "rest")
    assert outcome.loss_B is not None
    (outcome.loss_B if place == "loss" else outcome.memory["estimate"])[2].fill_(bad)
    with pytest.raises(TrainingFailed) as caught:
        refuse_not_finite(outcome, batch=batch, draws=draws, step=7, remedy=lambda _: "rest")
    message = str(caught.value)
    assert "not finite in 1 of 6 images" in message
    assert "step 7, images 4;" in message
    assert f"loss {float(outcome.loss_B[2]):.4g}" in message
    assert f"largest estimate {float(outcome.memory['estimate'][2].abs().max()):.4g}" in message
    assert f", t = {int(draws.values['t'][2])}\n" in message
    assert message.endswith("try: rest")


def test_a_mean_that_is_not_finite_concerns_all_images() -> None:
    """Of an objective whose rows have no loss of their own, nobody can tell which it was."""
    batch = make_batch(20)
    outcome = Outcome(loss=torch.tensor(torch.nan))
    with pytest.raises(TrainingFailed, match="20 of 20 images") as caught:
        refuse_not_finite(outcome, batch=batch, draws=NONE, step=1, remedy=lambda _: "rest")
    assert "images 0, 2, 4, 6, 8, 10, 12, 14 and 12 more; the first: loss nan" in str(caught.value)


def test_flips_keep_the_memory_in_one_orientation() -> None:
    """A flipped image meets its estimate flipped, and what is stored is turned back.

    A network whose F is a pointwise function of its inputs commutes with mirrors: with the noise
    mirrored too, its estimates are those of the unflipped batch.
    """
    batch = make_batch()
    plain = draws_for(batch)
    flipped_B = torch.tensor([True, False, True, False, False, True])
    noise = plain.values["noise"]
    mirrored = Draws(values=plain.values, flipped=flipped_B).flip(noise)
    assert not torch.equal(mirrored, noise)
    seen = step(batch, Draws(values={**plain.values, "noise": mirrored}, flipped=flipped_B))
    straight = step(batch, plain)
    assert torch.equal(seen.memory["estimate"], straight.memory["estimate"])
    torch.testing.assert_close(seen.loss_B, straight.loss_B)


def test_parts_of_a_batch_are_the_batch() -> None:
    """Cut into parts, batch and draws give the whole's estimates, and their losses its mean."""
    batch = make_batch()
    options: dict[str, Any] = {"estimate_dropout": 0.5, "guided_mix": True}
    draws = draws_for(batch, flips=True, **options)
    whole = step(batch, draws, epoch=2, **options)
    parts = [
        step(part, draws[place], epoch=2, **options)
        for part, place in zip(micro_batches(batch, 3), equal_slices(6, 3), strict=True)
    ]
    estimates = torch.cat([part.memory["estimate"] for part in parts])
    assert torch.equal(estimates, whole.memory["estimate"])
    torch.testing.assert_close(torch.stack([part.loss for part in parts]).mean(), whole.loss)
    assert whole.loss_B is not None
    every_B = torch.cat([part.loss_B for part in parts if part.loss_B is not None])
    torch.testing.assert_close(every_B, whole.loss_B)


@final
class Remembering(Metric):
    """The squared distance; keeps what estimates were compared with."""

    def __init__(self) -> None:
        self.targets: list[Tensor] = []

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        self.targets.append(target)
        return (estimate - target).square().flatten(1).mean(1)


def test_the_guided_mix_aims_at_the_stored_estimate() -> None:
    """Also where the network was given noise in its place: a mix must not aim at noise."""
    batch, metric = make_batch(), Remembering()
    options: dict[str, Any] = {"estimate_dropout": 1.0, "guided_mix": True}
    step(batch, draws_for(batch, **options), metric=metric, epoch=3, **options)
    to_image, to_stored = metric.targets
    assert torch.equal(to_image, batch.x_0)
    assert torch.equal(to_stored, memory_of(batch)["estimate"])


@settings(deadline=None)
@given(image_pairs(), st.integers(0, 10_000), st.integers(0, 2**31))
def test_the_guided_mix_is_its_formula(pair: tuple[Tensor, Tensor], epoch: int, seed: int) -> None:
    """The loss is w d(f, x_0) + (1 − w) d(f, x̂), w = 1/(n + 1), of float64 arithmetic."""
    estimate, x_0 = pair
    stored = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(seed))
    loss_B = mixed(L1(NoOptions()), estimate=estimate, x_0=x_0, stored=stored, epoch=epoch)
    w = 1 / (epoch + 1)
    to_image, to_stored = (
        (estimate.double() - other.double()).abs().mean(dim=(1, 2, 3)) for other in (x_0, stored)
    )
    assert loss_B.dtype == torch.float32
    torch.testing.assert_close(
        loss_B.double(), w * to_image + (1 - w) * to_stored, rtol=1e-5, atol=1e-12
    )


@final
class Answering(Denoiser):
    """A denoiser whose estimate is given."""

    schedule: Schedule = ToySchedule()

    def __init__(self, estimate: Tensor) -> None:
        self._estimate = estimate

    def begin(self, **_: Any) -> None:
        return

    def refine(self, cache: None, *, estimate: Tensor | None) -> Tensor:
        return self._estimate

    def select(self, cache: None, *, index: Tensor) -> None:
        raise NotImplementedError


def mixed(metric: Metric, *, estimate: Tensor, x_0: Tensor, stored: Tensor, epoch: int) -> Tensor:
    """The guided mix's loss of each image where the network answers with this estimate."""
    index = torch.arange(len(x_0))
    carried = estimate if estimate.requires_grad else estimate.clone().requires_grad_()
    outcome = make_step(
        StepParts(
            objective=objective(guided_mix=True),
            denoiser=Answering(carried),
            average=None,
            metric=metric,
        ),
        batch=Batch(index=index, x_0=x_0, label=None, rows=index),
        draws=Draws(
            values={"t": torch.ones(len(x_0), dtype=torch.int64), "noise": torch.zeros_like(x_0)},
            flipped=None,
        ),
        memory={"estimate": stored},
        progress=progress(epoch),
    )
    assert outcome.loss_B is not None
    return outcome.loss_B


def test_the_first_epoch_of_the_mix_sees_the_image_alone() -> None:
    """In epoch 0, w = 1: the first estimates are noise, and not even an infinite one counts."""
    estimate, x_0 = torch.randn(2, 2, 1, 3, 3)
    metric = L1(NoOptions())
    loss_B = mixed(metric, estimate=estimate, x_0=x_0, stored=x_0 * torch.inf, epoch=0)
    assert torch.equal(loss_B, metric.distance(estimate=estimate, target=x_0))


def test_the_dry_run_counts_the_targets_that_there_are() -> None:
    """Two with the guided mix, and one without."""
    batch, metric = make_batch(), Remembering()
    step(batch, draws_for(batch), metric=metric, epoch=1, guided_mix=True)
    facts = describe_directly_denoising(DirectlyDenoisingOptions(guided_mix=True))
    assert len(metric.targets) == facts.targets == 2
    assert describe_directly_denoising(DirectlyDenoisingOptions()).targets == 1


def test_it_remembers_one_estimate_of_each_image() -> None:
    """X̂ begins as noise, has the shape of the images, and is no objective's state beside."""
    facts = describe_directly_denoising(DirectlyDenoisingOptions())
    assert facts.memory == (MemoryField(name="estimate", shape=None, initial="noise"),)
    assert (facts.memory_rows, facts.sets, facts.estimate) == (None, None, "estimate")
    assert not objective().state()


def test_the_best_denoiser_of_gaussian_images() -> None:
    """E[x_0 | x_t] is what a regression of x_0 on x_t finds, at each time."""
    schedule, variance = ToySchedule(), 0.25
    best = objective().optimum(variance=variance, schedule=schedule)
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.randn(200_000, 1, 1, 1, generator=generator) * variance**0.5
    noise = torch.randn(x_0.shape, generator=generator)
    for time in (1, 5, 9):
        t = torch.full((len(x_0),), time)
        x_t = schedule.diffuse(x_0=x_0, t=t, noise=noise)
        slope = float((x_0 * x_t).mean() / x_t.square().mean())
        found = best(x_t=torch.ones(1, 1, 1, 1), t=torch.tensor([time]))
        assert float(found) == pytest.approx(slope, abs=5e-3)
