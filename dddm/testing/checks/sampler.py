"""What a sampler promises; see `dddm.interfaces.sampler`.

Legend: B images, C channels, H rows, W columns; T the last time.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import torch
from torch import Tensor

from dddm.interfaces.sampler import Sampler, StepNoise
from dddm.support.noise import noise_by_index
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import (
    BATCHES,
    assert_close,
    assert_equal,
    assert_tensor,
    gpus,
    noise,
)
from dddm.testing.toys import Function, ToyDenoiser, cosine_schedule, mixing

_STEPS: Final = (1, 2, 7)
_MANY: Final = 30
_NEAR: Final = 1e-3
_SCHEDULES: Final = {
    "integer times 1…1000": cosine_schedule(),
    "real times in (0, 1]": cosine_schedule(1, discrete=False),
}

Given = Mapping[str, Tensor | None]
"""x_T, first_estimate and label."""


def _given(subject: Subject, count: int = 5) -> dict[str, Tensor | None]:
    shape = subject.shapes[0].as_tuple
    return {
        "x_T": noise(count, *shape, seed=1),
        "first_estimate": noise(count, *shape, seed=2),
        "label": torch.arange(count) % subject.classes,
    }


def _samplers(subject: Subject) -> Iterator[tuple[Sampler, Given]]:
    yield subject.made, _given(subject)


SAMPLER: Final = Suite(
    "sampler",
    interface=Sampler,
    cases=_samplers,
    capabilities={
        "converges": "with a contraction that does not depend on time it finds the fixed point",
        "devices": "it samples on a GPU what it samples on the CPU",
    },
)


def _denoiser(function: Function = mixing) -> ToyDenoiser:
    return ToyDenoiser(cosine_schedule(), function)


def _step_noise(x_T: Tensor, *, first: int = 0) -> StepNoise:
    """Noise of each step, for images that are numbered from `first`."""
    index_B = torch.arange(first, first + len(x_T))

    def step_noise(step: int) -> Tensor:
        whole = isinstance(step, int) and step >= 0
        assert whole, f"it asks for the noise of step {step!r}: give a whole number"
        purpose = f"conformance step {step}"
        drawn = noise_by_index(seed=3, purpose=purpose, index=index_B, shape=x_T.shape[1:])
        return drawn.to(x_T.device)

    return step_noise


def _run(
    sampler: Sampler,
    given: Given,
    *,
    steps: int,
    model: ToyDenoiser | None = None,
    first: int = 0,
) -> Iterator[Tensor]:
    arguments: dict[str, Any] = dict(given)
    step_noise = _step_noise(arguments["x_T"], first=first)
    return sampler.sample(model=model or _denoiser(), steps=steps, noise=step_noise, **arguments)


def _estimates(sampler: Sampler, given: Given, **more: Any) -> list[Tensor]:
    """All that is yielded, copied at once."""
    return [found.clone() for found in _run(sampler, given, **more)]


def _x_T(given: Given) -> Tensor:
    x_T = given["x_T"]
    assert x_T is not None
    return x_T


@SAMPLER.check(basis=True)
def one_estimate_a_step(sampler: Sampler, given: Given) -> None:
    """It yields `steps` estimates, each (B, C, H, W), float32, finite."""
    for (name, schedule), count, steps in itertools.product(_SCHEDULES.items(), BATCHES, _STEPS):
        some = {key: None if value is None else value[:count] for key, value in given.items()}
        model = ToyDenoiser(schedule, mixing)
        found = _estimates(sampler, some, steps=steps, model=model)
        assert len(found) == steps, f"{len(found)} estimates for {steps} steps with {name}"
        for estimate in found:
            shape = tuple(_x_T(some).shape)
            assert_tensor(estimate, shape=shape, dtype=torch.float32, what="an estimate")


@SAMPLER.check()
def evaluations(sampler: Sampler, given: Given) -> None:
    """A run of k steps makes `evaluations(k)` network evaluations for each image.

    With a reference sampler, it is an upper bound.
    """
    images = len(_x_T(given))
    for steps in _STEPS:
        said = sampler.evaluations(steps)
        assert isinstance(said, int), f"evaluations({steps}) is {said!r}"
        model = _denoiser()
        run = _run(sampler, given, steps=steps, model=model)
        next(run)
        all_at_once = steps > 1 and sum(map(len, model.refined)) >= said * images
        assert not all_at_once, (
            "all evaluations are made before the first estimate is yielded: yield each estimate at "
            "once, so that progress can be shown"
        )
        for _ in run:
            pass
        made = sum(map(len, model.refined)) / images
        fewer_allowed = sampler.reference_sampler is not None
        assert made == said or (fewer_allowed and made < said), (
            f"{made:g} evaluations for an image in {steps} steps, but it says {said}: count the "
            "calls of `refine` in `evaluations`"
        )


@SAMPLER.check()
def begins_at_the_end_of_time(sampler: Sampler, given: Given) -> None:
    """The first network evaluation gets x_T, T, the labels and the first estimate."""
    for schedule in _SCHEDULES.values():
        model = ToyDenoiser(schedule, mixing)
        _estimates(sampler, given, steps=3, model=model)
        assert model.caches, "`begin` was never called"
        cache, x_T, label = model.caches[0], _x_T(given), given["label"]
        assert cache.t.shape == (len(x_T),) and (cache.t == schedule.last_time).all(), (
            f"it begins at t = {cache.t.tolist()}, but T is {schedule.last_time:g}: take the times "
            "from model.schedule.grid"
        )
        assert_equal(cache.x_t, x_T, "x_T was replaced")
        same = cache.label is not None and label is not None and torch.equal(cache.label, label)
        assert same, f"it gives the labels {cache.label}"
        first = given["first_estimate"]
        assert first is not None
        assert_equal(model.refined[0], first, "the first estimate was replaced")


@SAMPLER.check()
def times_are_the_schedule_s(sampler: Sampler, given: Given) -> None:
    """Times are in (0, T], second times in [0, t], typed as the schedule's; labels stay."""
    for name, schedule in _SCHEDULES.items():
        model, real = ToyDenoiser(schedule, mixing), not schedule.discrete
        _estimates(sampler, given, steps=5, model=model)
        for cache in model.caches:
            t, second = cache.t, cache.second_time
            inside = ((t > 0) & (t <= schedule.last_time)).all()
            assert inside, f"the network sees t = {t.tolist()} of {name}"
            assert t.is_floating_point() == real, f"times are {t.dtype} for {name}"
            if second is not None:
                assert second.shape == t.shape and second.is_floating_point() == real, (
                    f"second times are {second.dtype} {tuple(second.shape)} for {name}"
                )
                assert ((second >= 0) & (second <= t)).all(), (
                    f"the second time is {second.tolist()} at t = {t.tolist()}"
                )
            assert cache.label is not None, "the labels were left out"


@SAMPLER.check()
def fresh_latents(sampler: Sampler, given: Given) -> None:
    """If the network takes a latent, each step at another time passes fresh noise as x̂."""
    model = ToyDenoiser(cosine_schedule(), mixing, takes_latent=True)
    found = _estimates(sampler, given, steps=4, model=model)
    passed = {float(cache.t[0]): x for cache, x in zip(model.caches, model.refined, strict=False)}
    if len(passed) == 1:
        pytest.skip("it stays at one time")
    for (t, latent), (_, other) in itertools.combinations(passed.items(), 2):
        remedy = "pass `noise` of the step where `model.takes_latent`"
        assert not torch.equal(latent, other), f"x̂ at t = {t:g} is passed again later: {remedy}"
        passed_on = any(torch.equal(other, estimate) for estimate in found)
        assert not passed_on, f"a step passes the estimate of the one before: {remedy}"


@SAMPLER.check()
def within_range(sampler: Sampler, given: Given) -> None:
    """Estimates are in [-1, 1], whatever the network returns."""
    model = _denoiser(lambda cache, estimate: 5 * mixing(cache, estimate) + 3)
    found = _estimates(sampler, given, steps=4, model=model)
    most = max(float(estimate.abs().max()) for estimate in found)
    assert most <= 1, f"an estimate reaches {most:.3g}: clamp it to [-1, 1]"


@SAMPLER.check()
def always_the_same(sampler: Sampler, given: Given) -> None:
    """The same noise gives the same samples, bit for bit, for any random state of torch."""
    first = _estimates(sampler, given, steps=4)
    torch.manual_seed(1)
    for one, other in zip(first, _estimates(sampler, given, steps=4), strict=True):
        assert_equal(
            other,
            one,
            "samples differ the second time: take all noise from `noise(step)`, none from torch's "
            "global state",
        )


@SAMPLER.check()
def images_on_their_own(sampler: Sampler, given: Given) -> None:
    """A sample does not depend on the rest of the batch, up to rounding."""
    together = _estimates(sampler, given, steps=4)[-1]
    alone = []
    for k in range(len(together)):
        one = {name: None if v is None else v[k, None] for name, v in given.items()}
        alone.append(_estimates(sampler, one, steps=4, first=k)[-1])
    assert_close(together, torch.cat(alone), "a sample depends on the rest of the batch")


@SAMPLER.check()
def inputs_unchanged(sampler: Sampler, given: Given) -> None:
    """It does not modify x_T, the first estimate or yielded tensors."""
    kept = {name: value.clone() for name, value in given.items() if value is not None}
    yielded = [(found, found.clone()) for found in _run(sampler, given, steps=5)]
    for name, value in kept.items():
        now = given[name]
        assert now is not None
        assert_equal(now, value, f"{name} was changed")
    for step, (estimate, copy) in enumerate(yielded, start=1):
        assert_equal(estimate, copy, f"the estimate of step {step} changed afterwards")


@SAMPLER.check()
def stays_at_a_fixed_point(sampler: Sampler, given: Given) -> None:
    """If the network always returns one image, every estimate is that image."""
    image = noise(*_x_T(given).shape, seed=3).clamp(-1, 1)
    model = _denoiser(lambda _cache, _estimate: image.clone())
    for step, found in enumerate(_estimates(sampler, given, steps=4, model=model), start=1):
        message = f"the estimate of step {step} is not what the network gave: yield no mixture"
        assert_close(found, image, message, relative=1e-6)


@SAMPLER.check(capability="converges")
def finds_a_fixed_point(sampler: Sampler, given: Given) -> None:
    """With f = x* + (x̂ − x*)/2, the estimate after 30 steps is within 1e-3 of x*."""
    image = 0.5 * noise(*_x_T(given).shape, seed=3).clamp(-1, 1)
    model = _denoiser(lambda _cache, estimate: image + 0.5 * (estimate - image))
    found = _estimates(sampler, given, steps=_MANY, model=model)
    off = [float((estimate - image).abs().max()) for estimate in found]
    assert off[-1] <= _NEAR, (
        f"after {_MANY} steps an estimate is off by {off[-1]:.3g}, and {off[0]:.3g} at the first: "
        "give each step the estimate of the one before"
    )


@SAMPLER.check()
def prefix_consistent(sampler: Sampler, given: Given) -> None:
    """If `prefix_consistent`, the first k estimates of a longer run are those of k steps."""
    said = sampler.prefix_consistent
    assert isinstance(said, bool), f"prefix_consistent is {said!r}"
    if not said:
        pytest.skip("it says that it is not prefix-consistent")
    longer = _estimates(sampler, given, steps=7)
    for steps in (1, 2, 4):
        for one, other in zip(_estimates(sampler, given, steps=steps), longer, strict=False):
            message = (
                f"a run of {steps} steps is not the beginning of one of 7: let "
                "`prefix_consistent` be False"
            )
            assert_close(one, other, message, relative=1e-5)


@SAMPLER.check()
def every_step_counts(sampler: Sampler, given: Given) -> None:
    """If the network changes every estimate, so does each step."""
    model = _denoiser(lambda _cache, estimate: -0.9 * estimate.clamp(-1, 1))
    found = _estimates(sampler, given, steps=5, model=model)
    for step, (before, after) in enumerate(itertools.pairwise(found), start=2):
        assert not torch.equal(before, after), f"step {step} gave what the step before gave"


@SAMPLER.check()
def without_labels(sampler: Sampler, given: Given) -> None:
    """It samples without labels."""
    found = _estimates(sampler, {**given, "label": None}, steps=2)
    assert len(found) == 2, f"{len(found)} estimates for 2 steps"  # noqa: PLR2004 - as said


@SAMPLER.check()
def more_steps_than_times(sampler: Sampler, given: Given) -> None:
    """For more steps than times it raises a ValueError, or makes all steps."""
    try:
        found = _estimates(sampler, given, steps=5, model=ToyDenoiser(cosine_schedule(3), mixing))
    except ValueError:
        return
    assert len(found) == 5, f"{len(found)} estimates for 5 steps, and no error"  # noqa: PLR2004 - as said


@SAMPLER.check()
def reference_sampler(sampler: Sampler, _: Given) -> None:
    """`reference_sampler` is None, or a sampler without a reference sampler."""
    found = sampler.reference_sampler
    valid = found is None or (isinstance(found, Sampler) and found.reference_sampler is None)
    assert valid, f"it is {found!r}: use None, or a sampler whose reference_sampler is None"


@SAMPLER.check(capability="devices")
def devices(sampler: Sampler, given: Given) -> None:
    """On a GPU, samples equal those on the CPU, to 1e-3."""
    for device in gpus():
        expected = _estimates(sampler, given, steps=4)[-1]
        there = {name: None if v is None else v.to(device) for name, v in given.items()}
        found = _estimates(sampler, there, steps=4)[-1]
        assert found.device.type == device.type, f"samples are on {found.device}"
        assert_close(found.cpu(), expected, f"samples on {device} differ", relative=1e-3)
