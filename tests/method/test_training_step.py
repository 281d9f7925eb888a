"""Algorithm 1 on one batch."""

from typing import final

import pytest
import torch
from torch import Tensor
from toys import SHAPE, ToyBackbone, ToyMetric, ToySchedule, ToyStore

from dddm.errors import TrainingFailed
from dddm.interfaces.metric import Metric
from dddm.method.denoiser import ScheduledDenoiser
from dddm.method.training_step import (
    Batch,
    Draws,
    Outcome,
    draw,
    drop_estimates,
    refuse_not_finite,
    training_step,
)


def make_batch(count: int = 6) -> Batch:
    x_0 = torch.rand(count, *SHAPE.as_tuple) * 2 - 1
    return Batch(index=torch.arange(count) * 2, x_0=x_0, label=None)


def step(batch: Batch, draws: Draws) -> tuple[Outcome, ToyBackbone, ToyStore]:
    backbone, store = ToyBackbone(), ToyStore()
    model = ScheduledDenoiser(schedule=ToySchedule(), backbone=backbone)
    outcome = training_step(
        model=model, metric=ToyMetric(), store=store, batch=batch, draws=draws, epoch=0
    )
    return outcome, backbone, store


def draws_for(batch: Batch, *, seed: int = 1, dropout: float = 0.0) -> Draws:
    generator = torch.Generator().manual_seed(seed)
    return draw(
        schedule=ToySchedule(),
        images=len(batch.x_0),
        shape=SHAPE,
        generator=generator,
        estimate_dropout=dropout,
    )


def test_estimate_and_loss_are_those_of_the_paper() -> None:
    """x̂' = x_t − F(x̂, x_t, t) with x̂ from the store, and the loss is the mean of d(x̂', x_0)."""
    batch = make_batch()
    draws = draws_for(batch)
    outcome, backbone, store = step(batch, draws)
    angle = draws.t.double() * (torch.pi / 20)
    x_t = (
        angle.cos().float().view(-1, 1, 1, 1) * batch.x_0
        + angle.sin().float().view(-1, 1, 1, 1) * draws.noise
    )
    a, b, c = backbone.weights.detach()
    by_hand = x_t - (a * store.rows[batch.index] + b * x_t + c)
    torch.testing.assert_close(outcome.estimate, by_hand)
    torch.testing.assert_close(outcome.loss.detach(), (by_hand - batch.x_0).square().mean())


def test_one_forward_pass_serves_loss_and_estimate() -> None:
    """The network is evaluated once, the store is read once and not written by the method."""
    outcome, backbone, store = step(make_batch(), draws_for(make_batch()))
    assert (backbone.begun, backbone.refined) == (1, 1)
    assert store.calls == ["read"]
    assert not outcome.estimate.requires_grad
    assert outcome.loss.requires_grad


def test_no_gradient_flows_into_what_is_stored() -> None:
    """The gradient of the loss is that of the weights alone: the store's rows are constants."""
    outcome, backbone, store = step(make_batch(), draws_for(make_batch()))
    outcome.loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
    assert backbone.weights.grad is not None
    assert backbone.weights.grad.abs().min() > 0
    assert not store.rows.requires_grad


def test_draws_depend_on_the_generator_alone() -> None:
    """Equal seeds give equal times, noise and dropout; another seed gives others."""
    batch = make_batch()
    first = draws_for(batch, seed=3, dropout=0.5)
    torch.rand(17)
    again, other = draws_for(batch, seed=3, dropout=0.5), draws_for(batch, seed=4, dropout=0.5)
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(first.t, again.t)
    assert first.dropout_noise is not None
    assert again.dropout_noise is not None
    assert torch.equal(first.dropout_noise, again.dropout_noise)
    assert not torch.equal(first.noise, other.noise)


@pytest.mark.parametrize(("probability", "kept"), [(0.0, True), (1.0, False)])
def test_dropout_keeps_all_or_replaces_all(probability: float, kept: bool) -> None:  # noqa: FBT001
    """At probability 0 the stored estimate is used, at 1 fresh noise in its place."""
    batch = make_batch()
    estimate = torch.rand_like(batch.x_0)
    draws = draws_for(batch, dropout=probability)
    used = drop_estimates(estimate=estimate, draws=draws)
    expected = estimate if kept else draws.dropout_noise
    assert expected is not None
    assert torch.equal(used, expected)


def test_dropout_has_its_probability() -> None:
    """About a third of many estimates are dropped at p = 1/3, each whole."""
    batch = make_batch(3000)
    draws = draws_for(batch, dropout=1 / 3)
    assert draws.dropped is not None
    assert abs(draws.dropped.double().mean() - 1 / 3) < 4 * (2 / 9 / 3000) ** 0.5
    used = drop_estimates(estimate=torch.zeros_like(batch.x_0), draws=draws)
    assert torch.equal(used.flatten(1).ne(0).all(1), draws.dropped)
    assert torch.equal(used.flatten(1).ne(0).any(1), draws.dropped)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", ["loss", "estimate"])
def test_a_number_that_is_not_finite_is_refused_with_its_image(bad: float, place: str) -> None:
    """One bad pixel or loss stops the run and names step, data set index and time."""
    batch = make_batch()
    outcome, *_ = step(batch, draws_for(batch))
    refuse_not_finite(outcome, batch=batch, step=7, remedy=lambda _: "rest")
    (outcome.loss_B if place == "loss" else outcome.estimate)[2].fill_(bad)
    with pytest.raises(TrainingFailed) as caught:
        refuse_not_finite(outcome, batch=batch, step=7, remedy=lambda _: "rest")
    message = str(caught.value)
    assert "step 7, images 4;" in message
    assert f"t = {outcome.t[2]}" in message
    assert message.endswith("try: rest")


def test_flips_keep_the_store_in_one_orientation() -> None:
    """A flipped image meets its estimate flipped, and what is stored is turned back.

    A network whose F is a pointwise function of its inputs commutes with mirrors: with the noise
    mirrored too, its estimates are those of the unflipped batch.
    """
    batch = make_batch()
    plain = draws_for(batch)
    flipped_B = torch.tensor([True, False, True, False, False, True])
    noise = torch.where(flipped_B.view(-1, 1, 1, 1), plain.noise.flip(-1), plain.noise)
    mirrored, _, _ = step(batch, Draws(t=plain.t, noise=noise, flipped=flipped_B))
    straight, _, _ = step(batch, plain)
    assert torch.equal(mirrored.estimate, straight.estimate)
    torch.testing.assert_close(mirrored.loss_B, straight.loss_B)


def test_flips_do_not_change_the_other_draws() -> None:
    """Times and noise are those of a run without flips, and about half of the images flip."""
    batch = make_batch(400)
    generator = torch.Generator().manual_seed(1)
    draws = draw(
        schedule=ToySchedule(), images=len(batch.x_0), shape=SHAPE, generator=generator, flips=True
    )
    plain = draws_for(batch)
    assert torch.equal(draws.noise, plain.noise)
    assert torch.equal(draws.t, plain.t)
    assert draws.flipped is not None
    assert 150 < int(draws.flipped.sum()) < 250


def test_parts_of_a_batch_are_the_batch() -> None:
    """Cut into parts, batch and draws give the whole's estimates, and their losses its mean."""
    batch = make_batch()
    draws = draws_for(batch, dropout=0.5)
    whole, _, _ = step(batch, draws)
    parts = [step(b, d)[0] for b, d in zip(batch.parts(3), draws.parts(3), strict=True)]
    assert torch.equal(torch.cat([part.estimate for part in parts]), whole.estimate)
    torch.testing.assert_close(torch.stack([part.loss for part in parts]).mean(), whole.loss)


@final
class Remembering(Metric):
    """The squared distance; keeps what it was told of x̂."""

    told: Tensor | None = None

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return (estimate - target).square().flatten(1).mean(1)

    def loss(
        self, *, estimate: Tensor, target: Tensor, previous_estimate: Tensor, epoch: int
    ) -> Tensor:
        self.told = previous_estimate
        return self.distance(estimate=estimate, target=target)


def test_a_metric_is_told_the_stored_estimate() -> None:
    """Also where the network was given noise in its place: a guided mix must not aim at noise."""
    batch, metric, store = make_batch(), Remembering(), ToyStore()
    training_step(
        model=ScheduledDenoiser(schedule=ToySchedule(), backbone=ToyBackbone()),
        metric=metric,
        store=store,
        batch=batch,
        draws=draws_for(batch, dropout=1.0),
        epoch=3,
    )
    assert metric.told is not None
    assert torch.equal(metric.told, store.rows[batch.index])
