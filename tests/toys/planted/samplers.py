"""A right sampler, and wrong ones."""

from collections.abc import Iterator
from typing import Any, Final, final

import torch
from torch import Tensor
from toy_samplers import Heun, Jumping, Restarting

from dddm.interfaces.plugin import Kind, NoOptions
from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from planted.bug import Bug, bug


class Refining(Sampler):
    """Algorithm 2."""

    prefix_consistent: bool = True

    def __init__(self, options: NoOptions) -> None:
        pass

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
        t = self.times(model, len(x_T)).to(x_T.device)
        cache = model.begin(x_t=self.start(x_T), t=t, label=label)
        estimate = self.first(first_estimate)
        for step in range(self.count(steps)):
            estimate = self.refined(model, cache, estimate, step=step, steps=steps)
            yield estimate

    def times(self, model: Denoiser, count: int) -> Tensor:
        return model.schedule.grid(steps=1).expand(count)

    def start(self, x_T: Tensor) -> Tensor:
        return x_T

    def first(self, estimate: Tensor) -> Tensor:
        return estimate

    def count(self, steps: int) -> int:
        return steps

    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        return model.refine(cache, estimate=estimate).clamp(-1, 1)


@final
class RightSampler(Refining):
    pass


@final
class RightHeun(Heun):
    pass


@final
class RightRestarting(Restarting):
    pass


@final
class RightJumping(Jumping):
    pass


@final
class IgnoresSteps(Refining):
    def count(self, steps: int) -> int:
        return 2


@final
class EvaluatesTwice(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        model.refine(cache, estimate=estimate)
        return super().refined(model, cache, estimate, step=step, steps=steps)


@final
class EvaluatesAllAtOnce(Refining):
    def sample(self, *, steps: int, **given: Any) -> Iterator[Tensor]:
        return iter(list(super().sample(steps=steps, **given)))


@final
class CountsAsFirstOrder(Heun):
    def evaluations(self, steps: int) -> int:
        return steps


@final
class AsksByTime(Restarting):
    def asked(self, noise: StepNoise, *, step: int, t: Tensor) -> Tensor:
        return noise(t[0])  # type: ignore[arg-type]  # the bug


@final
class DrawsForItself(Restarting):
    def asked(self, noise: StepNoise, *, step: int, t: Tensor) -> Tensor:
        return torch.randn_like(noise(step))


@final
class LooksAhead(Jumping):
    def second(self, t: Tensor, target: Tensor) -> Tensor:
        return t + 1


@final
class RealSecondTimes(Jumping):
    def second(self, t: Tensor, target: Tensor) -> Tensor:
        return target.float()


@final
class BeginsEarlier(Refining):
    def times(self, model: Denoiser, count: int) -> Tensor:
        return super().times(model, count) - 1


@final
class RealTimes(Refining):
    def times(self, model: Denoiser, count: int) -> Tensor:
        return super().times(model, count).float()


@final
class DropsTheLabels(Refining):
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
        return super().sample(
            model=model,
            x_T=x_T,
            first_estimate=first_estimate,
            label=None,
            steps=steps,
            noise=noise,
        )


@final
class DoesNotClamp(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        return model.refine(cache, estimate=estimate)


@final
class DrawsAnew(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        stirred = estimate + 0.1 * torch.randn(estimate.shape[1:]) * (step > 0)
        return super().refined(model, cache, stirred, step=step, steps=steps)


@final
class CentresTheBatch(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        shift = estimate.mean(0) if step else 0.0
        return super().refined(model, cache, estimate - shift, step=step, steps=steps)


@final
class WritesIntoTheLast(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        fresh = super().refined(model, cache, estimate, step=step, steps=steps)
        return fresh if step == 0 else estimate.copy_(fresh)


@final
class YieldsAMixture(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        return 0.5 * super().refined(model, cache, estimate, step=step, steps=steps) + (
            0.5 * estimate.clamp(-1, 1)
        )


@final
class ForgetsTheEstimate(Refining):
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
        cache = model.begin(x_t=x_T, t=self.times(model, len(x_T)), label=label)
        for step in range(steps):
            given = first_estimate * (-1) ** step
            yield model.refine(cache, estimate=given).clamp(-1, 1)


@final
class ClaimsPrefixes(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        given = estimate * (1 - 0.01 * steps * (step > 0))
        return super().refined(model, cache, given, step=step, steps=steps)


@final
class StopsHalfWay(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        fresh = super().refined(model, cache, estimate, step=step, steps=steps)
        return estimate if step == 4 else fresh


@final
class WantsLabels(Refining):
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
        assert label is not None
        return super().sample(
            model=model,
            x_T=x_T,
            first_estimate=first_estimate,
            label=label.long(),
            steps=steps,
            noise=noise,
        )


@final
class EndsWithTheTimes(Refining):
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
        last_time = model.schedule.last_time  # 1 where times are real
        return super().sample(
            model=model,
            x_T=x_T,
            first_estimate=first_estimate,
            label=label,
            steps=steps if last_time == 1 else min(steps, int(last_time)),
            noise=noise,
        )


@final
class ShortCutOfAShortCut(Refining):
    @property
    def reference_sampler(self) -> Sampler | None:
        return ShortCutOfAShortCut(NoOptions())


@final
class SamplesOnTheCpu(Refining):
    def refined(
        self, model: Denoiser, cache: object, estimate: Tensor, *, step: int, steps: int
    ) -> Tensor:
        fresh = super().refined(model, cache, estimate, step=step, steps=steps)
        return fresh.cpu() if step == steps - 1 else fresh


BUGS: Final[list[Bug]] = [
    bug(Kind.SAMPLER, RightSampler),
    bug(Kind.SAMPLER, RightHeun),
    bug(Kind.SAMPLER, RightRestarting),
    bug(Kind.SAMPLER, RightJumping),
    bug(Kind.SAMPLER, IgnoresSteps, "sampler.one-estimate-a-step"),
    bug(Kind.SAMPLER, EvaluatesTwice, "sampler.evaluations"),
    bug(Kind.SAMPLER, EvaluatesAllAtOnce, "sampler.evaluations"),
    bug(Kind.SAMPLER, CountsAsFirstOrder, "sampler.evaluations"),
    bug(Kind.SAMPLER, AsksByTime, "sampler.one-estimate-a-step"),
    bug(Kind.SAMPLER, DrawsForItself, "sampler.always-the-same", "sampler.images-on-their-own"),
    bug(Kind.SAMPLER, LooksAhead, "sampler.times-are-the-schedule-s"),
    bug(Kind.SAMPLER, RealSecondTimes, "sampler.times-are-the-schedule-s"),
    bug(Kind.SAMPLER, BeginsEarlier, "sampler.begins-at-the-end-of-time"),
    bug(Kind.SAMPLER, RealTimes, "sampler.times-are-the-schedule-s"),
    bug(Kind.SAMPLER, DropsTheLabels, "sampler.begins-at-the-end-of-time"),
    bug(Kind.SAMPLER, DoesNotClamp, "sampler.within-range"),
    bug(Kind.SAMPLER, DrawsAnew, "sampler.always-the-same"),
    bug(Kind.SAMPLER, CentresTheBatch, "sampler.images-on-their-own"),
    bug(Kind.SAMPLER, WritesIntoTheLast, "sampler.inputs-unchanged"),
    bug(Kind.SAMPLER, YieldsAMixture, "sampler.stays-at-a-fixed-point"),
    bug(Kind.SAMPLER, ForgetsTheEstimate, "sampler.finds-a-fixed-point"),
    bug(Kind.SAMPLER, ClaimsPrefixes, "sampler.prefix-consistent"),
    bug(Kind.SAMPLER, StopsHalfWay, "sampler.every-step-counts"),
    bug(Kind.SAMPLER, WantsLabels, "sampler.without-labels"),
    bug(Kind.SAMPLER, EndsWithTheTimes, "sampler.more-steps-than-times"),
    bug(Kind.SAMPLER, ShortCutOfAShortCut, "sampler.reference-sampler"),
]
ON_A_DEVICE: Final = bug(Kind.SAMPLER, SamplesOnTheCpu, "sampler.devices")
