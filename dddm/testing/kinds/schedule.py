"""What a schedule promises; see `dddm.interfaces.schedule`.

Legend: B images, C channels, H rows, W columns; T the last time, s steps.
"""

from typing import Final

import torch
from torch import Tensor

from dddm.interfaces.info import ScheduleInfo
from dddm.interfaces.schedule import Schedule
from dddm.support.noise import generator_for
from dddm.testing.check import Suite, expect, expecting
from dddm.testing.material import expect_close, expect_equal, expect_tensor, gpus, noise, pictures
from dddm.testing.subject import LeftOut, Subject

SCHEDULE: Final = Suite(
    "schedule",
    capabilities={
        "ends-in-noise": "at T next to nothing is left of the image",
        "devices": "its coefficients are the same on a GPU",
    },
)

_MOST_TIMES: Final = 4096
_DRAWS_A_TIME: Final = 20
_BINS: Final = 10
_UNEVEN: Final = 1.5
"""How often the likeliest tenth of the range may be drawn, of the mean, in an even distribution."""
_SPREAD: Final = 0.5
"""About the standard deviation of images in [-1, 1]."""
_OF_UNIT_VARIANCE: Final = (0.25, 4.0)
_LEFT_AT_THE_END: Final = 0.1
_EXACTLY: Final = 1e-12


def _schedule(subject: Subject) -> Schedule:
    schedule: Schedule = subject.made
    return schedule


def _drawn(schedule: Schedule, count: int, *, seed: int = 0) -> Tensor:
    return schedule.draw_times(count=count, generator=generator_for("conformance times", seed))


def _is_discrete(schedule: Schedule) -> bool:
    return not _drawn(schedule, 1).is_floating_point()


def _times(schedule: Schedule) -> Tensor:
    """Times from 0 to T, both in it, rising: all of a discrete schedule, if they are not many."""
    last = schedule.last_time
    if not _is_discrete(schedule):
        return torch.linspace(0, last, 1001, dtype=torch.float64)
    every = torch.arange(int(last) + 1)
    return every if len(every) <= _MOST_TIMES else every[:: len(every) // _MOST_TIMES + 1]


def _batch_of_times(schedule: Schedule) -> Tensor:
    """The least time above 0, one in the middle, and T."""
    times = _times(schedule)[1:]
    return times[[0, len(times) // 2, -1]]


@SCHEDULE.check()
def last_time(subject: Subject) -> None:
    """T is above 0, and integral where times are."""
    last = _schedule(subject).last_time
    expect(last > 0, f"T is {last}")
    if _is_discrete(_schedule(subject)):
        expect(float(last).is_integer(), f"times are integers, and T is {last}")


@SCHEDULE.check()
def draws_within_range(subject: Subject) -> None:
    """Times are drawn from 1…T as int64, or from (0, T] as float64; where evenly, from all of it.

    Any other distribution may leave out what it likes, as a log-normal one does of large noise.
    """
    schedule = _schedule(subject)
    last = schedule.last_time
    discrete = _is_discrete(schedule)
    count = _DRAWS_A_TIME * min(int(last), _MOST_TIMES) if discrete else 10_000
    drawn = _drawn(schedule, max(count, 1000))
    dtype = torch.int64 if discrete else torch.float64
    expect_tensor(drawn, shape=(max(count, 1000),), dtype=dtype, what="what was drawn")
    least, most = float(drawn.min()), float(drawn.max())
    expect(
        least > 0 and most <= last,
        f"times from {least:g} to {most:g} were drawn, and T is {last:g}",
        remedy="draw from 1…T, both in it: at 0 there is nothing to learn",
    )
    expect(least < most, f"{len(drawn)} draws all gave {least:g}")
    if not _drawn_evenly(drawn):
        return
    if discrete and last <= _MOST_TIMES:
        missing = sorted(set(range(1, int(last) + 1)) - set(drawn.tolist()))
        expect(
            not missing,
            f"of times 1…{last:g}, {missing[:5]} were not drawn once in {count}",
            remedy="torch.randint excludes its upper end",
        )
    else:
        expect(
            least < last / 100 and most > last * 0.99,
            f"{count} times were drawn between {least:g} and {most:g} alone, and T is {last:g}",
        )


def _drawn_evenly(drawn: Tensor) -> bool:
    """Whether no part of the range that was drawn from was drawn far more often than others."""
    least, most = float(drawn.min()), float(drawn.max())
    bins = max(2, min(_BINS, int(most - least))) if not drawn.is_floating_point() else _BINS
    counts = torch.histc(drawn.double(), bins=bins, min=least, max=most)
    return float(counts.max()) < _UNEVEN * float(counts.mean())


@SCHEDULE.check()
def described(subject: Subject) -> None:
    """Its facts say, before it is built, whether its times are real, and which is the last."""
    schedule = _schedule(subject)
    describe = subject.component.describe
    facts = None if describe is None else describe(subject.use.options)
    if not isinstance(facts, ScheduleInfo):
        facts = ScheduleInfo()
    remedy = "register it with describe=, a function from options to ScheduleInfo"
    continuous = not _is_discrete(schedule)
    expect(
        facts.continuous == continuous,
        f"it draws {'real numbers' if continuous else 'integers'}, and its facts say "
        f"continuous = {facts.continuous}",
        remedy=remedy,
    )
    expect(
        facts.last_time is None or facts.last_time == schedule.last_time,
        f"T is {schedule.last_time:g}, and its facts say {facts.last_time}",
        remedy=remedy,
    )


@SCHEDULE.check()
def draws_are_seeded(subject: Subject) -> None:
    """What is drawn depends on the generator alone, for any count, and moves it on."""
    schedule = _schedule(subject)
    generator = generator_for("conformance times", 0)
    first = schedule.draw_times(count=7, generator=generator)
    second = schedule.draw_times(count=7, generator=generator)
    torch.manual_seed(1)
    expect_equal(
        _drawn(schedule, 7),
        first,
        "one seed of the generator gave two draws",
        remedy="pass the generator on to torch",
    )
    expect(not torch.equal(first, second), "two draws from one generator are equal")
    expect(_drawn(schedule, 1).shape == (1,), "a single time has not the shape (1,)")


@SCHEDULE.check()
def float64_coefficients(subject: Subject) -> None:
    """a(t) and s(t) are float64, finite, of the shape of t."""
    schedule = _schedule(subject)
    for t in (_times(schedule), _batch_of_times(schedule)):
        for name, found in (("a(t)", schedule.signal(t)), ("s(t)", schedule.noise(t))):
            expect_tensor(found, shape=tuple(t.shape), dtype=torch.float64, what=name)


@SCHEDULE.check()
def begins_with_the_image(subject: Subject) -> None:
    """a(0) = 1 and s(0) = 0."""
    schedule = _schedule(subject)
    zero = _times(schedule)[:1]
    signal, sigma = float(schedule.signal(zero)), float(schedule.noise(zero))
    expect(
        abs(signal - 1) < _EXACTLY and abs(sigma) < _EXACTLY,
        f"a(0) = {signal!r} and s(0) = {sigma!r}",
        remedy="let the table begin with time 0",
    )


@SCHEDULE.check()
def noise_rises(subject: Subject) -> None:
    """From each time to the next a(t) never rises, s(t) never falls, and s(t)/a(t) rises."""
    schedule = _schedule(subject)
    t = _times(schedule)
    signal, sigma = schedule.signal(t), schedule.noise(t)
    for name, wrong in (
        ("a(t) rises", signal.diff() > 0),
        ("s(t) falls", sigma.diff() < 0),
        ("s(t)/a(t) does not rise", sigma[1:] * signal[:-1] <= sigma[:-1] * signal[1:]),
        ("a(t) is below 0", signal[1:] < 0),
    ):
        at = wrong.nonzero().flatten()
        expect(not len(at), f"{name} at t = {t[1:][at[:1]].tolist()}, and {len(at)} times in all")


@SCHEDULE.check()
def prior(subject: Subject) -> None:
    """`prior` keeps shape and dtype, and depends on the noise alone."""
    eps = noise(3, *subject.shapes[0].as_tuple)
    kept = eps.clone()
    found = _schedule(subject).prior(noise=eps)
    expect_tensor(found, shape=tuple(eps.shape), dtype=torch.float32, what="x_T")
    torch.manual_seed(1)
    expect_equal(_schedule(subject).prior(noise=kept), found, "a second time x_T is another")
    expect_equal(eps, kept, "the noise that was given was changed")


@SCHEDULE.check(capability="ends-in-noise")
def prior_is_what_diffusion_ends_in(subject: Subject) -> None:
    """x_T of `prior` is that of `diffuse` at T with the same noise, to a tenth of its size."""
    schedule = _schedule(subject)
    shape = subject.shapes[0]
    eps = noise(3, *shape.as_tuple)
    last = _times(schedule)[-1:].expand(3)
    diffused = schedule.diffuse(x_0=_SPREAD * pictures(3, shape), t=last, noise=eps)
    found = schedule.prior(noise=eps)
    off = float((found - diffused).square().mean().sqrt() / diffused.square().mean().sqrt())
    expect(
        off <= _LEFT_AT_THE_END,
        f"they differ by {off:.1%}",
        remedy="scale the noise by s(T), and let a(T) be next to nothing",
    )


@SCHEDULE.check()
def estimate(subject: Subject) -> None:
    """`estimate` is finite, float32, of the shape of x_t, each image by its own time."""
    schedule = _schedule(subject)
    shape, t = subject.shapes[0], _batch_of_times(schedule)
    x_t, raw = noise(3, *shape.as_tuple), noise(3, *shape.as_tuple, seed=1)
    found = schedule.estimate(x_t=x_t, raw=raw, t=t)
    expect_tensor(found, shape=tuple(x_t.shape), dtype=torch.float32, what="the estimate")
    alone = torch.cat(
        [schedule.estimate(x_t=x_t[k, None], raw=raw[k, None], t=t[k, None]) for k in range(3)]
    )
    expect_close(found, alone, "an image's estimate depends on the rest of the batch")


@SCHEDULE.check()
def estimate_listens(subject: Subject) -> None:
    """At T the estimate depends on F, with a finite gradient; at every time that is finite."""
    schedule = _schedule(subject)
    shape, t = subject.shapes[0], _batch_of_times(schedule)
    raw = noise(3, *shape.as_tuple).requires_grad_()
    found = schedule.estimate(x_t=noise(3, *shape.as_tuple, seed=1), raw=raw, t=t)
    expect(found.requires_grad, "the estimate carries no gradient of F")
    (slope,) = torch.autograd.grad(found.sum(), raw)
    expect(bool(slope.isfinite().all()), "the gradient is not finite")
    expect(bool(slope[-1].all()), "at T the estimate does not depend on what the network says")


@SCHEDULE.check()
def grid_falls(subject: Subject) -> None:
    """A grid has as many times as asked for, strictly falling from T, the last above 0."""
    schedule = _schedule(subject)
    most = int(schedule.last_time) if _is_discrete(schedule) else 1000
    dtype = _drawn(schedule, 1).dtype
    for steps in sorted({1, 2, 3, 7, most // 2, most - 1, most} & set(range(1, _MOST_TIMES))):
        if steps > most:
            continue
        grid = schedule.grid(steps=steps)
        expect_tensor(grid, shape=(steps,), dtype=dtype, what=f"the grid of {steps} steps")
        expect(grid.device.type == "cpu", f"the grid is on {grid.device}")
        first, last = float(grid[0]), float(grid[-1])
        expect(first == schedule.last_time, f"the grid of {steps} steps begins at {first:g}, not T")
        expect(last > 0, f"the grid of {steps} steps ends at {last:g}")
        expect(bool((grid.diff() < 0).all()), f"the grid of {steps} steps does not fall strictly")


@SCHEDULE.check()
def grid_refuses(subject: Subject) -> None:
    """More steps than there are times are refused by a ValueError."""
    schedule = _schedule(subject)
    if not _is_discrete(schedule):
        raise LeftOut("there is no largest number of real times")
    steps = int(schedule.last_time) + 1
    with expecting(ValueError, otherwise=f"a grid of {steps} steps was given"):
        schedule.grid(steps=steps)


@SCHEDULE.check()
def network_time(subject: Subject) -> None:
    """The network sees times as finite float32, a different one at every time."""
    schedule = _schedule(subject)
    t = _times(schedule)[1:]
    found = schedule.network_time(t)
    expect_tensor(found, shape=tuple(t.shape), dtype=torch.float32, what="the network's time")
    alike = len(found) - len(set(found.tolist()))
    expect(
        not alike,
        f"the network sees {alike} of {len(t)} times twice",
        remedy="give it 1000·t/T, or ¼ ln σ, in float32",
    )


@SCHEDULE.check()
def network_input(subject: Subject) -> None:
    """What the network sees of x_t is about 1 in size at every time: from 1/4 to 4."""
    schedule = _schedule(subject)
    shape, t = subject.shapes[0], _batch_of_times(schedule)
    x_t = schedule.diffuse(
        x_0=_SPREAD * noise(3, *shape.as_tuple), t=t, noise=noise(3, *shape.as_tuple, seed=1)
    )
    kept = x_t.clone()
    found = schedule.network_input(x_t=x_t, t=t)
    expect_tensor(found, shape=tuple(x_t.shape), dtype=torch.float32, what="the network's input")
    expect_equal(x_t, kept, "x_t was changed")
    low, high = _OF_UNIT_VARIANCE
    sizes = found.square().mean(dim=(1, 2, 3)).sqrt()
    expect(
        bool(((sizes >= low) & (sizes <= high)).all()),
        f"its root mean square is {[round(size, 3) for size in sizes.tolist()]} at small, middle "
        "and last t",
        remedy="divide by √(a² σ² + s²), σ the deviation of the images",
    )


@SCHEDULE.check(capability="devices")
def devices(subject: Subject) -> None:
    """On a GPU coefficients and draws are there, and equal what they are on the CPU."""
    devices = list(gpus())
    schedule = _schedule(subject)
    t = _batch_of_times(schedule)
    for device in devices:
        for name, function in (("a(t)", schedule.signal), ("s(t)", schedule.noise)):
            found = function(t.to(device))
            expect(found.device.type == device.type, f"{name} is on {found.device}")
            expect_close(found.cpu(), function(t), f"{name} differs on {device}", relative=_EXACTLY)
        drawn = schedule.draw_times(count=3, generator=generator_for("times", device=device))
        expect(drawn.device.type == device.type, f"times are drawn on {drawn.device}")
