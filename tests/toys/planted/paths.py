"""Schedules, parametrizations and samplers with planted mistakes."""

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor
from toy_samplers import Heun, Jumping, Restarting

from dddm.errors import RecipeError
from dddm.interfaces.info import ScheduleInfo
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm.interfaces.schedule import Schedule, expand_B111
from planted.bug import Bug, Planter, given, then

LAST: Final = 20


class Cosine(Schedule):
    """x_t = cos(θ) x_0 + sin(θ) ε with θ = π t / 2T, T = 20."""

    last_time: float = LAST

    def __init__(self, options: NoOptions) -> None:
        pass

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(1, LAST + 1, (count,), generator=generator, device=generator.device)

    def signal(self, t: Tensor) -> Tensor:
        return torch.cos(t.double() * (torch.pi / 2 / LAST))

    def noise(self, t: Tensor) -> Tensor:
        return torch.sin(t.double() * (torch.pi / 2 / LAST))

    def prior(self, *, noise: Tensor) -> Tensor:
        return noise

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        return x_t - raw

    def grid(self, *, steps: int) -> Tensor:
        if steps > LAST:
            raise ValueError("there are 20 times")
        return LAST - torch.arange(steps) * LAST // steps

    def network_time(self, t: Tensor) -> Tensor:
        return t.float() * (1000 / LAST)

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        return x_t


def uniform(count: int, generator: torch.Generator) -> Tensor:
    return 1 - torch.rand(count, generator=generator, dtype=torch.float64)


def normal(count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, generator=generator, dtype=torch.float64)


class RealTimes(Cosine):
    """The same with real times in (0, 20]."""

    def draw_times(self, *, count: int, generator: torch.Generator) -> Tensor:
        return LAST * uniform(count, generator)

    def grid(self, *, steps: int) -> Tensor:
        return LAST * torch.arange(steps, 0, -1, dtype=torch.float64) / steps


def log_normal_whole_times(_: Any, *, count: int, generator: torch.Generator) -> Tensor:
    """As iCT draws its times: those of much noise hardly ever."""
    drawn = torch.randn(count, generator=generator)
    return (0.7 * drawn + 1.0).exp().ceil().clamp(1, LAST).long()


def ending_at_zero(self: Any, *, steps: int) -> Tensor:
    if steps == 1 or steps > LAST:
        return Cosine.grid(self, steps=steps)
    return torch.linspace(LAST, 0, steps + 1).round().long()[1 - steps :]


def facts(**said: Any) -> dict[str, Any]:
    return {"describe": lambda _options: ScheduleInfo(**said)}


def drawing(name: str, caught_by: str = "", **methods: Any) -> Bug:
    """Of real times, and it says so."""
    said = facts(continuous=True, last_time=20.0)
    return schedule(name, caught_by, base=RealTimes, register=said, **methods)


schedule = Planter(Kind.SCHEDULE, Cosine)
one_later = given(t=lambda t: (t + 1).clamp(max=LAST))
OUTSIDE: Final = "draws-within-range"
SCHEDULES: Final[list[Bug]] = [
    schedule("right"),
    schedule("logarithmic-network-time", network_time=lambda self, t: -t.float().log() / 4),
    schedule("log-normal-whole-times", draw_times=log_normal_whole_times),
    drawing("real-times"),
    drawing("log-normal-times", draw_times=lambda self, *, count, generator: (
        (1.2 * normal(count, generator) - 1.2).exp().clamp(max=LAST))),
    drawing("logit-normal-times", draw_times=lambda self, *, count, generator: (
        LAST * normal(count, generator).sigmoid())),
    drawing("beyond-t", OUTSIDE, draw_times=lambda self, *, count, generator: (
        (1.2 * normal(count, generator) + 1.2).exp())),
    drawing("half-of-the-times", OUTSIDE, draw_times=then(lambda t: t / 2)),
    drawing("one-time", OUTSIDE, draw_times=then(lambda t: 0 * t + LAST)),
    drawing("never-in-an-interval", OUTSIDE, draw_times=then(
        lambda t: torch.where((t > 8) & (t < 9), t - 2, t))),
    drawing("log-normal-with-a-gap", OUTSIDE, draw_times=lambda self, *, count, generator: (
        (t := (1.2 * normal(count, generator) - 1.2).exp().clamp(max=LAST))
        + 0.05 * (t > 0.3).double()).clamp(max=LAST)),
    schedule("never-in-the-middle", OUTSIDE, draw_times=then(
        lambda t: torch.where((t > 5) & (t < 15), 1, t))),
    schedule("swapped-coefficients", "target-of-unit-size",
             estimate=lambda self, *, x_t, raw, t: (
                 expand_B111(self.noise(t)).float() * x_t
                 - expand_B111(self.signal(t)).float() * raw)),
    schedule("undeclared-real-times", "described", base=RealTimes),
    schedule("another-last-time", "described", base=RealTimes,
             register=facts(continuous=True, last_time=1.0)),
    schedule("fractional-last-time", "last-time draws-within-range grid-falls grid-refuses",
             last_time=19.5),
    schedule("draws-zero", OUTSIDE, draw_times=then(lambda t: t - 1)),
    schedule("never-draws-t", OUTSIDE, draw_times=lambda self, *, count, generator: (
        torch.randint(1, LAST, (count,), generator=generator))),
    schedule("ignores-the-generator", "draws-are-seeded",
             draw_times=lambda self, *, count, generator: torch.randint(1, LAST + 1, (count,))),
    schedule("float32-signal", "float64-coefficients", signal=then(Tensor.float)),
    schedule("table-without-zero", "begins-with-the-image noise-rises",
             noise=one_later, signal=one_later),
    schedule("noise-falls-again", "noise-rises", noise=lambda self, t: (
        Cosine.noise(self, t) * (1 - 0.1 * (t == LAST - 2).double()))),
    schedule("draws-the-prior", "prior prior-is-what-diffusion-ends-in",
             prior=then(torch.randn_like)),
    schedule("prior-too-small", "prior-is-what-diffusion-ends-in", prior=then(lambda x: 0.5 * x)),
    schedule("first-time-for-all", "estimate", estimate=lambda self, *, x_t, raw, t: (
        x_t - expand_B111(self.noise(t[:1])).float() * raw)),
    schedule("ignores-f-at-t", "estimate-listens", estimate=lambda self, *, x_t, raw, t: (
        x_t - expand_B111((t < LAST).float()) * raw)),
    schedule("grid-rises", "grid-falls", grid=then(lambda t: t.flip(0))),
    schedule("grid-ends-at-zero", "grid-falls", grid=ending_at_zero),
    schedule("grid-of-any-length", "grid-refuses",
             grid=lambda self, *, steps: LAST - torch.arange(steps) * LAST // steps),
    schedule("few-network-times", "network-time", network_time=lambda self, t: (t / 2).round()),
    schedule("infinite-network-time", "network-time",
             network_time=lambda self, t: (t.float() - 1).log()),
    schedule("exploding-input", "network-input", network_input=then(lambda x: 50 * x)),
    schedule("table-on-the-cpu", "devices", signal=given(t=Tensor.cpu)),
]  # fmt: skip


class FlowNetwork(Parametrization):
    """D = (x_t − s F)/(a + s)."""

    def __init__(self, options: NoOptions, *, schedule: Schedule) -> None:
        self.schedule = schedule

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return expand_B111(self.schedule.signal(t)), expand_B111(self.schedule.noise(t))

    def network_time(self, t: Tensor) -> Tensor:
        return (t.double() / self.schedule.last_time).float()

    def network_input(self, *, x_t: Tensor, t: Tensor) -> Tensor:
        a, s = self.path(t)
        return x_t * torch.rsqrt(a.square() / 4 + s.square()).float()

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        a, s = self.path(t)
        return (1 / (a + s)).float() * x_t - (s / (a + s)).float() * raw


class Karras(FlowNetwork):
    """D = c_skip x_t/a + c_out F of σ = s/a and images of deviation 1/2, written in a and s."""

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        a, s = self.path(t)
        square = s.square() + a.square() / 4
        return a / 4 / square, s / 2 * torch.rsqrt(square)

    def estimate(self, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
        skip, out = self.coefficients(t)
        return skip.float() * x_t + out.float() * raw


def refusing(self: Any) -> None:
    if not float(self.schedule.signal(self.schedule.grid(steps=1))):
        raise RecipeError("this path ends in noise alone", where="parametrization.use")


def refusing_all(_: Any) -> None:
    raise RecipeError("this path is not supported", where="parametrization.use")


def divided_near_the_image(self: Any, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Tensor:
    """Correct at the three times that are looked at first, and infinite at one beside them."""
    times = self.schedule.grid(steps=20 if self.schedule.last_time > 1 else 1000)
    found = FlowNetwork.estimate(self, x_t=x_t, raw=raw, t=t)
    return found / expand_B111((t != times[-2]).float())


def divided_by_the_signal(self: Any, *, x_t: Tensor, raw: Tensor, t: Tensor) -> Any:
    a, s = self.path(t)
    return ((x_t - s * raw) / a).float()


parametrization = Planter(Kind.PARAMETRIZATION, FlowNetwork)
PARAMETRIZATIONS: Final[list[Bug]] = [
    parametrization("right"),
    parametrization("refuses-one", setup=refusing),
    parametrization("refuses-all", "component.builds", setup=refusing_all),
    parametrization("float64", "estimate", estimate=then(Tensor.double)),
    parametrization("first-time", "estimate", estimate=given(t=lambda t: t[:1])),
    parametrization("divides-by-the-signal", "estimate", estimate=divided_by_the_signal),
    parametrization("divides-near-the-image", "finite-at-every-time",
                    estimate=divided_near_the_image),
    parametrization("ignores-f-at-t", "estimate-listens", estimate=lambda self, *, x_t, raw, t: (
        FlowNetwork.estimate(
            self, x_t=x_t, raw=raw * expand_B111(t < self.schedule.last_time), t=t))),
    parametrization("karras", base=Karras),
    parametrization("swapped-coefficients", "target-of-unit-size", base=Karras,
                    coefficients=then(lambda found: found[::-1])),
    parametrization("whole-times", "real-times", base=Karras,
                    coefficients=given(t=lambda t: t.long())),
    parametrization("nearest-times-in", "real-times",
                    network_input=given(t=torch.round)),
    parametrization("unscaled-input", "network-input", network_input=lambda self, *, x_t, t: x_t),
    parametrization("logarithm-of-zero", "network-time",
                    network_time=lambda self, t: t.double().log().float()),
    parametrization("few-times", "network-time", network_time=then(lambda t: (8 * t).round())),
    parametrization("times-on-the-cpu", "devices", network_time=given(t=Tensor.cpu)),
]  # fmt: skip


def refined(model: Denoiser, cache: object, estimate: Tensor) -> Tensor:
    return model.refine(cache, estimate=estimate).clamp(-1, 1)


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
        t = self.times(model.schedule.grid(steps=1).expand(len(x_T)).to(x_T.device))
        cache = model.begin(x_t=x_T, t=t, label=label)
        estimate = first_estimate
        for step in range(steps):
            estimate = self.next(model, cache, estimate, step, steps)
            yield estimate

    def times(self, t: Tensor) -> Tensor:
        return t

    def next(self, model: Denoiser, cache: Any, x: Tensor, step: int, steps: int) -> Tensor:
        return refined(model, cache, x)


class FirstEstimateAgain(Refining):
    """Without the estimate of the step before."""

    def sample(self, *, first_estimate: Tensor, **rest: Any) -> Iterator[Tensor]:
        self.given = first_estimate
        return super().sample(first_estimate=first_estimate, **rest)

    def next(self, model: Denoiser, cache: Any, x: Tensor, step: int, steps: int) -> Tensor:
        return refined(model, cache, self.given * (-1) ** step)


def ending_with_the_times(self: Any, *, model: Denoiser, steps: int, **rest: Any) -> Any:
    last_time = model.schedule.last_time  # 1 where times are real
    most = steps if last_time == 1 else min(steps, int(last_time))
    return Refining.sample(self, model=model, steps=most, **rest)


sampler = Planter(Kind.SAMPLER, Refining)
SAMPLERS: Final[list[Bug]] = [
    sampler("right"),
    sampler("heun", base=Heun),
    sampler("restarting", base=Restarting),
    sampler("jumping", base=Jumping),
    sampler("ignores-steps", "one-estimate-a-step", sample=given(steps=lambda _: 2)),
    sampler("noise-by-time", "one-estimate-a-step", base=Restarting,
            asked=lambda self, noise, *, step, t: noise(t[0])),
    sampler("evaluates-twice", "evaluations", next=lambda self, model, cache, x, step, steps: (
        refined(model, cache, x), refined(model, cache, x))[1]),
    sampler("evaluates-all-at-once", "evaluations", sample=then(lambda run: iter(list(run)))),
    sampler("counts-as-first-order", "evaluations", base=Heun,
            evaluations=lambda self, steps: steps),
    sampler("draws-its-noise", "always-the-same images-on-their-own", base=Restarting,
            asked=then(torch.randn_like)),
    sampler("passes-the-estimate", "fresh-latents", base=Restarting,
            passed_on=lambda self, model, estimate, *, noise, step: estimate),
    sampler("passes-one-latent", "fresh-latents", base=Restarting,
            passed_on=lambda self, model, estimate, *, noise, step: (
                noise(7) if step else estimate)),
    sampler("second-time-above-t", "times-are-the-schedule-s", base=Jumping,
            second=lambda self, t, target: t + 1),
    sampler("real-second-times", "times-are-the-schedule-s", base=Jumping,
            second=lambda self, t, target: target.float()),
    sampler("real-times", "times-are-the-schedule-s", times=then(Tensor.float)),
    sampler("begins-earlier", "begins-at-the-end-of-time", times=then(lambda t: t - 1)),
    sampler("drops-the-labels", "begins-at-the-end-of-time", sample=given(label=lambda _: None)),
    sampler("does-not-clamp", "within-range", next=lambda self, model, cache, x, step, steps: (
        model.refine(cache, estimate=x))),
    sampler("draws-again", "always-the-same", next=lambda self, model, cache, x, step, steps: (
        refined(model, cache, x + 0.1 * torch.randn(x.shape[1:]) * (step > 0)))),
    sampler("centres-the-batch", "images-on-their-own",
            next=lambda self, model, cache, x, step, steps: (
                refined(model, cache, x - x.mean(0) * (step > 0)))),
    sampler("writes-into-the-last", "inputs-unchanged",
            next=lambda self, model, cache, x, step, steps: (
                x.copy_(refined(model, cache, x)) if step else refined(model, cache, x))),
    sampler("yields-a-mixture", "stays-at-a-fixed-point",
            next=lambda self, model, cache, x, step, steps: (
                0.5 * refined(model, cache, x) + 0.5 * x.clamp(-1, 1))),
    sampler("forgets-the-estimate", "finds-a-fixed-point", base=FirstEstimateAgain),
    sampler("depends-on-steps", "prefix-consistent",
            next=lambda self, model, cache, x, step, steps: (
                refined(model, cache, x * (1 - 0.01 * steps * (step > 0))))),
    sampler("stops-half-way", "every-step-counts",
            next=lambda self, model, cache, x, step, steps: (
                x if step == 4 else refined(model, cache, x))),
    sampler("requires-labels", "without-labels", sample=given(label=lambda label: label.long())),
    sampler("ends-with-the-times", "more-steps-than-times", sample=ending_with_the_times),
    sampler("reference-of-a-reference", "reference-sampler",
            reference_sampler=property(lambda self: type(self)(NoOptions()))),
    sampler("samples-on-the-cpu", "devices", next=lambda self, model, cache, x, step, steps: (
        refined(model, cache, x).to("cpu" if step == steps - 1 else x.device))),
]  # fmt: skip
BUGS: Final = [*SCHEDULES, *PARAMETRIZATIONS, *SAMPLERS]
