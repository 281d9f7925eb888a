"""Right objectives, and wrong ones.

Legend: B rows, G sets of n rows.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, final

import torch
from attrs import evolve
from torch import Tensor

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import DiagnosisInfo, ImageShape, MemoryField, ObjectiveInfo, SetInfo
from dddm.interfaces.objective import (
    Diagnosis,
    Objective,
    Outcome,
    TrainingProgress,
    TrainingStep,
)
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.interfaces.schedule import Schedule, expand_B111
from planted.bug import Bug, bug

REMEMBERS: Final = ObjectiveInfo(
    memory=(MemoryField(name="estimate"),),
    estimate="estimate",
    diagnosis=DiagnosisInfo(title="Size", measured="size", curves=(("size", "of x̂"),)),
)


class Remembering(Objective):
    """(D(x̂, x_t, t) − x_0)², x̂ being the estimate of the step before."""

    def __init__(self, options: NoOptions) -> None:
        self.steps = torch.zeros(())

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        return {
            "t": schedule.draw_times(count=count, generator=generator),
            "noise": torch.randn(count, *shape.as_tuple, generator=generator),
        }

    def x_t(self, given: TrainingStep) -> Tensor:
        draws, schedule = given.draws, given.denoiser.schedule
        return schedule.diffuse(x_0=given.batch.x_0, t=draws["t"], noise=draws["noise"])

    def estimate(self, given: TrainingStep) -> Tensor:
        return given.denoiser.evaluate(
            x_t=self.x_t(given),
            t=given.draws["t"],
            label=given.batch.label,
            estimate=given.memory["estimate"],
        )

    def step(self, given: TrainingStep) -> Outcome:
        estimate = self.estimate(given)
        assert given.metric is not None
        loss_B = given.metric.distance(estimate=estimate, target=given.batch.x_0)
        loss_B = loss_B * (1 + self.steps)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B, memory={"estimate": estimate.detach()})

    def after_step(self, *, backbone: Backbone, progress: TrainingProgress) -> None:
        self.steps = self.steps + 1

    def state(self) -> Mapping[str, Tensor]:
        return {"steps": self.steps}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.steps = state["steps"]

    def diagnose(self, given: Diagnosis) -> Mapping[str, float]:
        return {"size": float(given.memory["estimate"].square().mean())}

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor]:
        def best(*, x_t: Tensor, t: Tensor, **_: Any) -> Tensor:
            a_B, s_B = schedule.signal(t), schedule.noise(t)
            return expand_B111(self.gain(a_B, s_B, variance)).to(x_t.dtype) * x_t

        return best

    def gain(self, a_B: Tensor, s_B: Tensor, variance: float) -> Tensor:
        return variance * a_B / (variance * a_B.square() + s_B.square())


@final
class RightObjective(Remembering):
    pass


class ComparingSets(Objective):
    """The squared difference of the means of a set and of real images."""

    def __init__(self, options: NoOptions) -> None:
        pass

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        return {"noise": torch.randn(count, *shape.as_tuple, generator=generator)}

    def generated(self, given: TrainingStep) -> Tensor:
        schedule, noise = given.denoiser.schedule, given.draws["noise"]
        return given.denoiser.evaluate(
            x_t=schedule.prior(noise=noise),
            t=schedule.grid(steps=1).expand(len(noise)),
            label=given.batch.label,
            estimate=None,
        )

    def step(self, given: TrainingStep) -> Outcome:
        sets = given.batch.sets
        assert sets is not None
        of_sets = self.generated(given).reshape(len(sets.index), 3, -1).mean(1)
        return Outcome(loss=(of_sets - sets.x_0.flatten(2).mean(1)).square().mean(1).mean())


@final
class RightSets(ComparingSets):
    pass


@final
class AcrossSets(ComparingSets):
    def step(self, given: TrainingStep) -> Outcome:
        sets = given.batch.sets
        assert sets is not None
        away = self.generated(given).flatten(1).mean(0) - sets.x_0.flatten(0, 1).flatten(1).mean(0)
        return Outcome(loss=away.square().mean())


@final
class SumForMean(Remembering):
    def step(self, given: TrainingStep) -> Outcome:
        outcome = super().step(given)
        assert outcome.loss_B is not None
        return evolve(outcome, loss=outcome.loss_B.sum())


@final
class WithoutGradient(Remembering):
    def step(self, given: TrainingStep) -> Outcome:
        outcome = super().step(given)
        return evolve(outcome, loss=outcome.loss.detach())


@final
class KeepsTheGraph(Remembering):
    def step(self, given: TrainingStep) -> Outcome:
        return evolve(super().step(given), memory={"estimate": self.estimate(given)})


@final
class GlobalNoise(Remembering):
    def draw(self, *, count: int, shape: ImageShape, **more: Any) -> dict[str, Tensor]:
        drawn = super().draw(count=count, shape=shape, **more)
        return {**drawn, "noise": torch.randn(count, *shape.as_tuple)}


@final
class AlwaysTheSameNoise(Remembering):
    def draw(
        self, *, count: int, shape: ImageShape, generator: torch.Generator, **more: Any
    ) -> dict[str, Tensor]:
        fixed = torch.Generator().manual_seed(0)
        return super().draw(count=count, shape=shape, generator=fixed, **more)


@final
class DrawsInItsStep(Remembering):
    def x_t(self, given: TrainingStep) -> Tensor:
        return super().x_t(given) + 0.1 * torch.randn_like(given.batch.x_0)


@final
class NormalisesByTheBatch(Remembering):
    def step(self, given: TrainingStep) -> Outcome:
        outcome = super().step(given)
        return evolve(outcome, loss=outcome.loss / outcome.loss.detach(), loss_B=None)


@final
class MixesRows(Remembering):
    def estimate(self, given: TrainingStep) -> Tensor:
        found = super().estimate(given)
        return found - found.mean(0, keepdim=True)


@final
class StopsGradient(Remembering):
    def step(self, given: TrainingStep) -> Outcome:
        outcome = super().step(given)
        return evolve(outcome, loss=outcome.loss - outcome.loss + outcome.loss.detach())


@final
class EvaluatesTwice(Remembering):
    def step(self, given: TrainingStep) -> Outcome:
        self.estimate(given)
        return super().step(given)


@final
class ForgetsTheEstimate(Remembering):
    def estimate(self, given: TrainingStep) -> Tensor:
        return given.denoiser.evaluate(
            x_t=self.x_t(given), t=given.draws["t"], label=given.batch.label, estimate=None
        )


@final
class ForgetsTheLabels(Remembering):
    def estimate(self, given: TrainingStep) -> Tensor:
        return given.denoiser.evaluate(
            x_t=self.x_t(given),
            t=given.draws["t"],
            label=None,
            estimate=given.memory["estimate"],
        )


@final
class WritesIntoImages(Remembering):
    def x_t(self, given: TrainingStep) -> Tensor:
        found = super().x_t(given)
        given.batch.x_0.mul_(1 + 1e-3)
        return found


@final
class ForgetsItsState(Remembering):
    def state(self) -> Mapping[str, Tensor]:
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        pass


@final
class MeasuresSomethingElse(Remembering):
    def diagnose(self, given: Diagnosis) -> Mapping[str, float]:
        return {"length": float("nan")}


@final
class ForgetsTheSquare(Remembering):
    """Its optimum: v/(v a² + s) for v a/(v a² + s²)."""

    def gain(self, a_B: Tensor, s_B: Tensor, variance: float) -> Tensor:
        return variance * a_B / (variance * a_B.square() + s_B)


@final
class AimsTooFar(Remembering):
    """As if x_0 were twice as large."""

    def step(self, given: TrainingStep) -> Outcome:
        estimate = self.estimate(given)
        assert given.metric is not None
        loss_B = given.metric.distance(estimate=estimate, target=2 * given.batch.x_0)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B, memory={"estimate": estimate.detach()})


@final
class DividesByTime(Remembering):
    """Right, but of times up to 1000 those below 1 outweigh all others by far, or hide anything."""

    def step(self, given: TrainingStep) -> Outcome:
        estimate = self.estimate(given)
        assert given.metric is not None
        distance_B = given.metric.distance(estimate=estimate, target=given.batch.x_0)
        loss_B = distance_B / given.draws["t"].clamp(min=0.01).square().float()
        return Outcome(loss=loss_B.mean(), loss_B=loss_B, memory={"estimate": estimate.detach()})


def objective(target: Any, *caught_by: str, facts: ObjectiveInfo = REMEMBERS) -> Bug:
    names = (f"objective.{name}" for name in caught_by)
    return bug(Kind.OBJECTIVE, target, *names, describe=lambda _options: facts)


SETS: Final = ObjectiveInfo(sets=SetInfo(rows=3, real=5), metric=False)

TOO_NOISY: Final = objective(DividesByTime, facts=evolve(REMEMBERS, continuous_time=True))
"""No mistake, but none could be told from it."""

BUGS: Final[list[Bug]] = [
    objective(RightObjective),
    objective(RightSets, facts=SETS),
    objective(AcrossSets, "shares-its-work", facts=SETS),
    objective(SumForMean, "steps"),
    objective(WithoutGradient, "steps"),
    objective(KeepsTheGraph, "steps"),
    objective(GlobalNoise, "draws-are-seeded"),
    objective(AlwaysTheSameNoise, "draws-are-seeded"),
    objective(DrawsInItsStep, "draws-nothing-in-a-step"),
    objective(NormalisesByTheBatch, "shares-its-work"),
    objective(MixesRows, "shares-its-work", "memory-of-each-row"),
    objective(StopsGradient, "gradient"),
    objective(EvaluatesTwice, "evaluations"),
    objective(ForgetsTheEstimate, "gives-what-it-says"),
    objective(ForgetsTheLabels, "gives-what-it-says"),
    objective(WritesIntoImages, "inputs-unchanged"),
    objective(ForgetsItsState, "state-round-trip"),
    objective(MeasuresSomethingElse, "diagnoses"),
    objective(ForgetsTheSquare, "optimum"),
    objective(AimsTooFar, "optimum"),
]
