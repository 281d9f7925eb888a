"""What a sampler promises; see `dddm.interfaces.sampler`.

Legend: B images, C channels, H rows, W columns; T the last time.
"""

import itertools
from typing import Any, Final

import torch
from torch import Tensor

from dddm.interfaces.sampler import Sampler, StepNoise
from dddm.support.noise import noise_by_index
from dddm.testing.check import Suite, expect
from dddm.testing.material import (
    BATCHES,
    expect_close,
    expect_equal,
    expect_tensor,
    gpus,
    noise,
    pictures,
)
from dddm.testing.plain_denoiser import Cache, PlainDenoiser, PlainSchedule, mixing
from dddm.testing.subject import LeftOut, Subject

SAMPLER: Final = Suite(
    "sampler",
    capabilities={
        "converges": "with a contraction that does not depend on time it finds the fixed point",
        "devices": "it samples on a GPU what it samples on the CPU",
    },
)

_STEPS: Final = (1, 2, 7)
_MANY: Final = 30
_NEAR: Final = 1e-3
_SCHEDULES: Final = {
    "whole times 1…1000": PlainSchedule(),
    "real times in (0, 1]": PlainSchedule(1, continuous=True),
}


def _sampler(subject: Subject) -> Sampler:
    sampler: Sampler = subject.made
    return sampler


def _given(subject: Subject, count: int = 3) -> dict[str, Any]:
    """Noise for x_T and the first estimate, and labels."""
    shape = subject.shapes[0].as_tuple
    return {
        "x_T": noise(count, *shape, seed=1),
        "first_estimate": noise(count, *shape, seed=2),
        "label": torch.arange(count) % subject.classes,
    }


def _step_noise(given: dict[str, Any], *, first: int = 0) -> StepNoise:
    """Noise of each step, for images that are numbered from `first`."""
    x_T: Tensor = given["x_T"]
    index_B = torch.arange(first, first + len(x_T))

    def step_noise(step: int) -> Tensor:
        whole = isinstance(step, int) and step >= 0
        expect(whole, f"it asks for the noise of step {step!r}", remedy="give a whole number")
        purpose = f"conformance step {step}"
        drawn = noise_by_index(seed=3, purpose=purpose, index=index_B, shape=x_T.shape[1:])
        return drawn.to(x_T.device)

    return step_noise


def _estimates(
    sampler: Sampler,
    given: dict[str, Any],
    *,
    steps: int,
    model: PlainDenoiser | None = None,
    first: int = 0,
) -> list[Tensor]:
    """All that is yielded, copied at once; of images that are numbered from `first`."""
    model = model or PlainDenoiser(PlainSchedule(), mixing)
    run = sampler.sample(model=model, steps=steps, noise=_step_noise(given, first=first), **given)
    return [found.clone() for found in run]


@SAMPLER.check(basis=True)
def one_estimate_a_step(subject: Subject) -> None:
    """It yields as many estimates as steps are asked for, (B, C, H, W), float32, finite."""
    for (name, schedule), count, steps in itertools.product(_SCHEDULES.items(), BATCHES, _STEPS):
        model = PlainDenoiser(schedule, mixing)
        found = _estimates(_sampler(subject), _given(subject, count), steps=steps, model=model)
        expect(len(found) == steps, f"{len(found)} estimates for {steps} steps with {name}")
        for estimate in found:
            shape = (count, *subject.shapes[0].as_tuple)
            expect_tensor(estimate, shape=shape, dtype=torch.float32, what="an estimate")


@SAMPLER.check()
def evaluations(subject: Subject) -> None:
    """A run of k steps evaluates the network `evaluations(k)` times for each image.

    Where the sampler names a reference sampler, this is the most that it may be.
    """
    sampler, given = _sampler(subject), _given(subject)
    for steps in _STEPS:
        said = sampler.evaluations(steps)
        expect(isinstance(said, int), f"evaluations({steps}) is {said!r}")
        model = PlainDenoiser(PlainSchedule(), mixing)
        run = sampler.sample(model=model, steps=steps, noise=_step_noise(given), **given)
        next(run)
        at_once = steps > 1 and sum(map(len, model.refined)) >= said * len(given["x_T"])
        expect(
            not at_once,
            "all evaluations are made before the first estimate is yielded",
            remedy="yield each estimate as soon as it is there: that is how progress is known",
        )
        for _ in run:
            pass
        made = sum(map(len, model.refined)) / len(given["x_T"])
        short_cut = sampler.reference_sampler is not None
        expect(
            made == said or (short_cut and made < said),
            f"{made:g} evaluations for an image in {steps} steps, and it says {said}",
            remedy="count the calls of `refine` in `evaluations`",
        )


@SAMPLER.check()
def begins_at_the_end_of_time(subject: Subject) -> None:
    """The network first sees x_T as it was given, at T, with the labels, and the first estimate."""
    for schedule in _SCHEDULES.values():
        model, given = PlainDenoiser(schedule, mixing), _given(subject)
        _estimates(_sampler(subject), given, steps=3, model=model)
        expect(bool(model.caches), "`begin` was never called")
        cache = model.caches[0]
        expect(
            cache.t.shape == (3,) and bool((cache.t == schedule.last_time).all()),
            f"it begins at t = {cache.t.tolist()}, and T is {schedule.last_time:g}",
            remedy="take the times from model.schedule.grid",
        )
        expect_equal(cache.x_t, given["x_T"], "it begins with another x_T")
        seen = cache.label
        same = seen is not None and torch.equal(seen, given["label"])
        expect(same, f"it gives the labels {seen}")
        expect_equal(model.refined[0], given["first_estimate"], "another first estimate is refined")


@SAMPLER.check()
def times_are_the_schedule_s(subject: Subject) -> None:
    """Times are in (0, T], a second one in [0, t], both typed as the schedule's; labels stay."""
    for name, schedule in _SCHEDULES.items():
        model, real = PlainDenoiser(schedule, mixing), schedule.grid(steps=1).is_floating_point()
        _estimates(_sampler(subject), _given(subject), steps=5, model=model)
        for cache in model.caches:
            inside = (cache.t > 0) & (cache.t <= schedule.last_time)
            expect(bool(inside.all()), f"the network sees t = {cache.t.tolist()} of {name}")
            expect(cache.t.is_floating_point() == real, f"times are {cache.t.dtype} for {name}")
            second = cache.second_time
            if second is not None:
                expect(
                    second.shape == cache.t.shape and second.is_floating_point() == real,
                    f"second times are {second.dtype} {tuple(second.shape)} for {name}",
                )
                before = (second >= 0) & (second <= cache.t)
                expect(
                    bool(before.all()),
                    f"the second time is {second.tolist()} at t = {cache.t.tolist()}",
                )
            expect(cache.label is not None, "the labels were left out")


@SAMPLER.check()
def within_range(subject: Subject) -> None:
    """Estimates are in [-1, 1], whatever the network says."""

    def wild(cache: Cache, estimate: Tensor) -> Tensor:
        return 5 * mixing(cache, estimate) + 3

    found = _estimates(
        _sampler(subject), _given(subject), steps=4, model=PlainDenoiser(PlainSchedule(), wild)
    )
    most = max(float(estimate.abs().max()) for estimate in found)
    expect(most <= 1, f"an estimate reaches {most:.3g}", remedy="clamp it to [-1, 1]")


@SAMPLER.check()
def always_the_same(subject: Subject) -> None:
    """The same noise gives the same samples, bit for bit, whatever torch's random state is.

    That of a step too: a sampler that draws asks the function that it is given.
    """
    first = _estimates(_sampler(subject), _given(subject), steps=4)
    torch.manual_seed(1)
    for one, other in zip(
        first, _estimates(_sampler(subject), _given(subject), steps=4), strict=True
    ):
        expect_equal(
            other,
            one,
            "a second time samples differ",
            remedy="take all noise from `noise(step)`, none from torch's global state",
        )


@SAMPLER.check()
def images_on_their_own(subject: Subject) -> None:
    """An image's sample is the same alone as in its batch, up to rounding."""
    given = _given(subject, 5)
    together = _estimates(_sampler(subject), given, steps=4)[-1]
    alone = [
        _estimates(
            _sampler(subject), {name: v[k, None] for name, v in given.items()}, steps=4, first=k
        )[-1]
        for k in range(5)
    ]
    expect_close(together, torch.cat(alone), "a sample depends on what else is in the batch")


@SAMPLER.check()
def inputs_unchanged(subject: Subject) -> None:
    """It changes neither x_T, nor the first estimate, nor what it has yielded."""
    given = _given(subject)
    kept = {name: value.clone() for name, value in given.items()}
    model = PlainDenoiser(PlainSchedule(), mixing)
    yielded, copies = [], []
    step_noise = _step_noise(given)
    for estimate in _sampler(subject).sample(model=model, steps=5, noise=step_noise, **given):
        yielded.append(estimate)
        copies.append(estimate.clone())
    for name, value in kept.items():
        expect_equal(given[name], value, f"{name} was changed")
    for step, (estimate, copy) in enumerate(zip(yielded, copies, strict=True), start=1):
        expect_equal(estimate, copy, f"the estimate of step {step} changed afterwards")


@SAMPLER.check()
def stays_at_a_fixed_point(subject: Subject) -> None:
    """Where the network gives one image whatever it sees, every estimate is that image."""
    image = pictures(3, subject.shapes[0], seed=3)

    def constant(cache: Cache, estimate: Tensor) -> Tensor:
        del cache, estimate
        return image.clone()

    found = _estimates(
        _sampler(subject), _given(subject), steps=4, model=PlainDenoiser(PlainSchedule(), constant)
    )
    for step, estimate in enumerate(found, start=1):
        expect_close(
            estimate,
            image,
            f"the estimate of step {step} is not what the network gave",
            relative=1e-6,
            remedy="yield what the network gives, and no mixture",
        )


@SAMPLER.check(capability="converges")
def finds_a_fixed_point(subject: Subject) -> None:
    """With f = x* + (x̂ − x*)/2, 30 steps are within 1e-3 of x*, and steps come nearer."""
    image = 0.5 * pictures(3, subject.shapes[0], seed=3)

    def halving(cache: Cache, estimate: Tensor) -> Tensor:
        del cache
        return image + 0.5 * (estimate - image)

    found = _estimates(
        _sampler(subject),
        _given(subject),
        steps=_MANY,
        model=PlainDenoiser(PlainSchedule(), halving),
    )
    off = [float((estimate - image).abs().max()) for estimate in found]
    expect(
        off[-1] <= _NEAR,
        f"after {_MANY} steps an estimate is off by {off[-1]:.3g}, and {off[0]:.3g} at the first",
        remedy="give each step the estimate of the one before",
    )


@SAMPLER.check()
def prefix_consistent(subject: Subject) -> None:
    """If it says it is `prefix_consistent`, the first k of more estimates are those of k steps."""
    sampler = _sampler(subject)
    said = sampler.prefix_consistent
    expect(isinstance(said, bool), f"prefix_consistent is {said!r}")
    if not said:
        raise LeftOut("it says that it is not prefix-consistent")
    longer = _estimates(sampler, _given(subject), steps=7)
    for steps in (1, 2, 4):
        shorter = _estimates(sampler, _given(subject), steps=steps)
        for one, other in zip(shorter, longer, strict=False):
            expect_close(
                one,
                other,
                f"a run of {steps} steps is not the beginning of one of 7",
                relative=1e-5,
                remedy="let `prefix_consistent` be False",
            )


@SAMPLER.check()
def every_step_counts(subject: Subject) -> None:
    """With a network that moves every estimate, each step's estimate is another."""

    def turning(cache: Cache, estimate: Tensor) -> Tensor:
        del cache
        return -0.9 * estimate.clamp(-1, 1)

    found = _estimates(
        _sampler(subject), _given(subject), steps=5, model=PlainDenoiser(PlainSchedule(), turning)
    )
    for step, (before, after) in enumerate(itertools.pairwise(found), start=2):
        expect(not torch.equal(before, after), f"step {step} gave what the step before gave")


@SAMPLER.check()
def without_labels(subject: Subject) -> None:
    """It samples where there are no labels."""
    given = {**_given(subject), "label": None}
    expect(len(_estimates(_sampler(subject), given, steps=2)) == 2, "it yields too few estimates")  # noqa: PLR2004 - two steps


@SAMPLER.check()
def more_steps_than_times(subject: Subject) -> None:
    """Of a schedule with fewer times than steps it makes ValueError, or all the steps."""
    sampler, given = _sampler(subject), _given(subject)
    model = PlainDenoiser(PlainSchedule(3), mixing)
    try:
        found = _estimates(sampler, given, steps=5, model=model)
    except ValueError:
        return
    expect(len(found) == 5, f"{len(found)} estimates for 5 steps, and no error")  # noqa: PLR2004 - as said


@SAMPLER.check()
def reference_sampler(subject: Subject) -> None:
    """`reference_sampler` is None, or a sampler that takes no short cut itself."""
    found = _sampler(subject).reference_sampler
    right = found is None or (isinstance(found, Sampler) and found.reference_sampler is None)
    expect(right, f"it is {found!r}, which takes a short cut or is not a sampler")


@SAMPLER.check(capability="devices")
def devices(subject: Subject) -> None:
    """On a GPU it samples what it samples on the CPU, to 1e-3."""
    devices = list(gpus())
    expected = _estimates(_sampler(subject), _given(subject), steps=4)[-1]
    for device in devices:
        given = {name: value.to(device) for name, value in _given(subject).items()}
        found = _estimates(_sampler(subject), given, steps=4)[-1]
        expect(found.device.type == device.type, f"samples are on {found.device}")
        expect_close(found.cpu(), expected, f"on {device} they differ", relative=1e-3)
