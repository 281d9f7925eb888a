"""The toys themselves.

Legend: B rows, G sets of n rows, m real images of a set.
"""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, Outcome, TrainingProgress, TrainingStep
from dddm.interfaces.schedule import Schedule, expand_B111
from toy_objectives import ROWS


def _draws(
    names: tuple[str, ...], *, count: int, shape: ImageShape, generator: torch.Generator
) -> dict[str, Tensor]:
    """N(0, I) by name."""
    return {name: torch.randn(count, *shape.as_tuple, generator=generator) for name in names}


class _Toy(Objective):
    """t and ε; what a toy draws beside them is in `noises`."""

    noises: tuple[str, ...] = ()

    def __init__(self, options: object) -> None:
        self._options: Any = options

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        t_B = schedule.draw_times(count=count, generator=generator)
        names = ("noise", *self.noises)
        return {"t": t_B, **_draws(names, count=count, shape=shape, generator=generator)}


def _noisy(given: TrainingStep, *, noise: str = "noise") -> Tensor:
    schedule, draws = given.denoiser.schedule, given.draws
    return schedule.diffuse(x_0=given.batch.x_0, t=draws["t"], noise=draws[noise])


def _distance(given: TrainingStep, estimate: Tensor, target: Tensor) -> Tensor:
    assert given.metric is not None
    return given.metric.distance(estimate=estimate, target=target)


@final
class Plain(_Toy):
    """d(D(x_t, t), x_0)."""

    def step(self, given: TrainingStep) -> Outcome:
        estimate = given.denoiser.evaluate(
            x_t=_noisy(given), t=given.draws["t"], label=given.batch.label, estimate=None
        )
        loss_B = _distance(given, estimate, given.batch.x_0)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B)


@final
class Embedded(_Toy):
    """‖φ(D) − φ(x_0)‖² of features φ with gradient."""

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._features: Features = self._options.features.instantiate()

    def step(self, given: TrainingStep) -> Outcome:
        estimate = given.denoiser.evaluate(
            x_t=_noisy(given), t=given.draws["t"], label=given.batch.label, estimate=None
        )
        apart_BD = self._features.embed(estimate) - self._features.embed(given.batch.x_0)
        loss_B = apart_BD.square().mean(dim=1)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B)


@final
class Twice(_Toy):
    """Two noises of one image shall give one estimate, and that of a frozen pass."""

    noises = ("other",)

    def step(self, given: TrainingStep) -> Outcome:
        label, t_B = given.batch.label, given.draws["t"]

        def estimate(noise: str) -> Tensor:
            x_t = _noisy(given, noise=noise)
            return given.denoiser.evaluate(x_t=x_t, t=t_B, label=label, estimate=None)

        one = estimate("noise")
        with given.frozen_pass():
            again = estimate("noise")
        other = estimate("other")
        # A frozen pass drops what the first pass dropped, so that it says the same.
        assert torch.equal(one.detach(), again)
        assert not again.requires_grad
        loss_B = _distance(given, one, given.batch.x_0) + _distance(given, other, again)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B)


@final
class Taught(_Toy):
    """d(D(x_t, t), the averaged network's estimate at the same noise) + d(D, x_0)."""

    def step(self, given: TrainingStep) -> Outcome:
        assert given.average is not None
        x_t, t_B, label = _noisy(given), given.draws["t"], given.batch.label
        estimate = given.denoiser.evaluate(x_t=x_t, t=t_B, label=label, estimate=None)
        taught = given.average.evaluate(x_t=x_t, t=t_B, label=label, estimate=None)
        assert not taught.requires_grad
        loss_B = _distance(given, estimate, taught) + _distance(given, estimate, given.batch.x_0)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B)


@final
class Flowing(_Toy):
    """‖u + (t − r) sg(du/dt) − x_0‖² with r = t/2, by one forward-mode derivative."""

    def step(self, given: TrainingStep) -> Outcome:
        label, t_B = given.batch.label, given.draws["t"].float()
        x_t = given.denoiser.schedule.diffuse(
            x_0=given.batch.x_0, t=given.draws["t"], noise=given.draws["noise"]
        )

        def u(z: Tensor, r: Tensor, t: Tensor) -> Tensor:
            return given.denoiser.evaluate(x_t=z, t=t, label=label, estimate=None, second_time=r)

        tangents = (given.draws["noise"], torch.zeros_like(t_B), torch.ones_like(t_B))
        value, slope = given.jvp(u, (x_t, t_B / 2, t_B), tangents)
        target = given.batch.x_0 - expand_B111(t_B / 2) * slope.detach().clamp(-1, 1)
        loss_B = (value - target).square().flatten(1).mean(1)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B, numbers={"slope": slope.detach().norm()})


def _energy_distance(generated_GnD: Tensor, real_GmD: Tensor) -> Tensor:
    """2 E‖g − r‖ − E‖g − g'‖ of each set, (G,)."""
    count = generated_GnD.shape[1]
    across_G = torch.cdist(generated_GnD, real_GmD).mean(dim=(1, 2))
    within_Gnn = (
        (generated_GnD[:, :, None] - generated_GnD[:, None]).square().sum(-1) + 1e-6
    ).sqrt()
    return 2 * across_G - within_Gnn.sum(dim=(1, 2)) / (count * (count - 1))


@final
class Sets(_Toy):
    """The energy distance between what noise becomes and real images of the same class."""

    def step(self, given: TrainingStep) -> Outcome:
        sets = given.batch.sets
        assert sets is not None
        if sets.label is not None:
            assert given.batch.label is not None
            of_rows = given.batch.label.reshape(-1, ROWS)
            assert bool((of_rows == sets.label[:, None]).all())
        schedule, noise = given.denoiser.schedule, given.draws["noise"]
        t_B = schedule.grid(steps=1).expand(len(noise))
        generated = given.denoiser.evaluate(
            x_t=schedule.prior(noise=noise), t=t_B, label=given.batch.label, estimate=None
        )
        loss_G = _energy_distance(generated.reshape(len(sets.index), ROWS, -1), sets.x_0.flatten(2))
        return Outcome(loss=loss_G.mean())


@final
class Chain(_Toy):
    """Rows of the memory are chains of the sampler: x_T stays, x̂ is refined, depth counts."""

    noises = ("first",)

    def draw(self, *, count: int, generator: torch.Generator, **more: Any) -> dict[str, Tensor]:
        found = super().draw(count=count, generator=generator, **more)
        return {**found, "restart": torch.rand(count, generator=generator) < 1 / 4}

    def step(self, given: TrainingStep) -> Outcome:
        sets, memory, draws = given.batch.sets, given.memory, given.draws
        assert sets is not None
        depth_B111 = memory["depth"]
        new_B111 = expand_B111(draws["restart"]) | (depth_B111 == 0)
        x_T = torch.where(new_B111, draws["noise"], memory["x_T"])
        x_hat = torch.where(new_B111, draws["first"], memory["estimate"])
        t_B = given.denoiser.schedule.grid(steps=1).expand(len(x_T))
        refined = given.denoiser.evaluate(x_t=x_T, t=t_B, label=given.batch.label, estimate=x_hat)
        loss_G = _energy_distance(refined.reshape(len(sets.index), ROWS, -1), sets.x_0.flatten(2))
        return Outcome(
            loss=loss_G.mean(),
            memory={
                "estimate": refined.detach().clamp(-1, 1),
                "x_T": x_T,
                "depth": torch.where(new_B111, torch.ones_like(depth_B111), depth_B111 + 1),
            },
            # Every fourth row is left as it is.
            written=torch.arange(len(x_T)) % 4 != 3,
            numbers={"depth": depth_B111.mean()},
        )


@final
class Counting(_Toy):
    """As `plain`, with a number of its own that grows with every step and weighs the loss."""

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._weight = torch.ones(())

    def step(self, given: TrainingStep) -> Outcome:
        estimate = given.denoiser.evaluate(
            x_t=_noisy(given), t=given.draws["t"], label=given.batch.label, estimate=None
        )
        loss_B = self._weight * _distance(given, estimate, given.batch.x_0)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B, numbers={"weight": self._weight})

    def after_step(self, *, backbone: Backbone, progress: TrainingProgress) -> None:
        self._weight = self._weight * 1.01

    def state(self) -> Mapping[str, Tensor]:
        return {"weight": self._weight}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._weight = state["weight"]
