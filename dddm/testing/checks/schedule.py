"""What a schedule promises; see `dddm.interfaces.schedule`.

Legend: B images, C channels, H rows, W columns; T the last time, s steps.
"""

from collections.abc import Iterator
from typing import Final

import pytest
import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape, ScheduleInfo
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.schedule import Schedule
from dddm.support.noise import generator_for
from dddm.testing.check import Suite, raises
from dddm.testing.subject import Subject
from dddm.testing.tensors import (
    assert_close,
    assert_equal,
    assert_tensor,
    gpus,
    noise,
    pictures,
)

_MOST_TIMES: Final = 4096
_DRAWS_PER_TIME: Final = 20
_BINS: Final = 10
_UNEVEN: Final = 1.5
"""How much more often than on average a tenth of the range is drawn in an even distribution."""
_NEIGHBOURS: Final = 25
"""Draws on each side of an interval, whose spacing it is compared with."""
_GAP: Final = 150.0
_DRAWN_OFTEN: Final = 10
_SPREAD: Final = 0.5
"""About the standard deviation of images in [-1, 1]."""
_UNIT_SIZE: Final = (0.25, 4.0)
_TARGET_SIZE: Final = (0.1, 10.0)
_LEFT_AT_THE_END: Final = 0.1
_EXACTLY: Final = 1e-12


def _schedules(subject: Subject) -> Iterator[tuple[Schedule, ImageShape]]:
    yield subject.made, subject.shapes[0]


SCHEDULE: Final = Suite(
    "schedule",
    interface=Schedule,
    cases=_schedules,
    capabilities={
        "ends-in-noise": "at T next to nothing is left of the image",
        "devices": "its coefficients are the same on a GPU",
    },
)


def _draw(schedule: Schedule, count: int) -> Tensor:
    return schedule.draw_times(count=count, generator=generator_for("conformance times", 0))


def _is_discrete(schedule: Schedule) -> bool:
    return not _draw(schedule, 1).is_floating_point()


def _times(schedule: Schedule) -> Tensor:
    """Rising times from 0 to T, including both: all of a discrete schedule, unless too many."""
    last = schedule.last_time
    if not _is_discrete(schedule):
        return torch.linspace(0, last, 1001, dtype=torch.float64)
    times = torch.arange(int(last) + 1)
    return times if len(times) <= _MOST_TIMES else times[:: len(times) // _MOST_TIMES + 1]


def three_times(times: Tensor) -> Tensor:
    """The least time above 0, one in the middle, and T."""
    return times[[0, len(times) // 2, -1]]


@SCHEDULE.check()
def last_time(schedule: Schedule, _: ImageShape) -> None:
    """T is above 0, and integral if times are integers."""
    last = float(schedule.last_time)
    assert last > 0, f"T is {last}"
    whole = last.is_integer() or not _is_discrete(schedule)
    assert whole, f"times are integers, but T is {last}"


@SCHEDULE.check()
def draws_within_range(schedule: Schedule, _: ImageShape) -> None:
    """Times are int64 in 1…T or float64 in (0, T], without gaps; uniform ones cover all of it.

    Other distributions may omit times at both ends, as a log-normal one omits large noise.
    """
    last, discrete = schedule.last_time, _is_discrete(schedule)
    count = max(1000, _DRAWS_PER_TIME * min(int(last), _MOST_TIMES) if discrete else 10_000)
    drawn = _draw(schedule, count)
    dtype = torch.int64 if discrete else torch.float64
    assert_tensor(drawn, shape=(count,), dtype=dtype, what="the drawn times")
    least, most = float(drawn.min()), float(drawn.max())
    message = f"{count} times were drawn between {least:g} and {most:g}, and T is {last:g}"
    assert least > 0 and most <= last, f"{message}: draw from 1…T inclusive"
    assert least < most, message
    gap = _gap(drawn)
    assert gap is None, (
        f"no time between {gap[0]:g} and {gap[1]:g} came in {count} draws, though those beside it "
        "did often: the network would be asked at times that it never saw"
    )
    if not _drawn_evenly(drawn):
        return
    if discrete and last <= _MOST_TIMES:
        missing = sorted(set(range(1, int(last) + 1)) - set(drawn.tolist()))
        assert not missing, (
            f"{missing[:5]} of 1…{last:g} never came in {count} draws: torch.randint excludes its "
            "upper end"
        )
    else:
        assert least < last / 100 and most > last * 0.99, message


def _gap(drawn: Tensor) -> tuple[float, float] | None:
    """Ends of an interval within the drawn times in which there is none, if they are frequent."""
    times, counts = torch.unique(drawn.double(), return_counts=True)
    spaces = times.diff()
    if not drawn.is_floating_point():
        often = torch.minimum(counts[:-1], counts[1:]) >= _DRAWN_OFTEN
        holes = ((spaces > 1) & often).nonzero().flatten()
    elif len(spaces) <= 4 * _NEIGHBOURS:
        return None  # a table of real times, which has spaces of its own
    else:
        # Where the density is smooth, a space is an exponential variable of its neighbours' mean.
        around = spaces.unfold(0, 2 * _NEIGHBOURS + 1, 1).median(1).values
        holes = (spaces[_NEIGHBOURS:-_NEIGHBOURS] > _GAP * around).nonzero().flatten()
        holes = holes + _NEIGHBOURS
    return None if not len(holes) else (float(times[holes[0]]), float(times[holes[0] + 1]))


def _drawn_evenly(drawn: Tensor) -> bool:
    """Whether every part of the drawn range was drawn about equally often."""
    least, most = float(drawn.min()), float(drawn.max())
    bins = _BINS if drawn.is_floating_point() else max(2, min(_BINS, int(most - least)))
    counts = torch.histc(drawn.double(), bins=bins, min=least, max=most)
    return float(counts.max()) < _UNEVEN * float(counts.mean())


@SCHEDULE.check(cases=lambda subject: [(subject.made, subject)])
def described(schedule: Schedule, subject: Subject) -> None:
    """Its info states whether times are real numbers, and T."""
    facts = subject.facts(ScheduleInfo) or ScheduleInfo()
    remedy = "register it with describe=, a function from options to ScheduleInfo"
    real = not _is_discrete(schedule)
    assert facts.continuous == real, (
        f"it draws {'real numbers' if real else 'integers'}, but its info says "
        f"continuous = {facts.continuous}: {remedy}"
    )
    assert facts.last_time in {None, schedule.last_time}, (
        f"T is {schedule.last_time:g}, but its info says {facts.last_time}: {remedy}"
    )


@SCHEDULE.check()
def draws_are_seeded(schedule: Schedule, _: ImageShape) -> None:
    """Draws depend only on the generator, and advance it."""
    generator = generator_for("conformance times", 0)
    first = schedule.draw_times(count=7, generator=generator)
    second = schedule.draw_times(count=7, generator=generator)
    torch.manual_seed(1)
    again = _draw(schedule, 7)
    assert_equal(again, first, "one seed gave two draws: pass the generator on to torch")
    assert not torch.equal(first, second), "two draws from one generator are equal"
    assert _draw(schedule, 1).shape == (1,), "a single time does not have the shape (1,)"


@SCHEDULE.check()
def float64_coefficients(schedule: Schedule, _: ImageShape) -> None:
    """a(t) and s(t) are float64, finite, of the shape of t."""
    for t in (_times(schedule), three_times(_times(schedule)[1:])):
        for name, found in (("a(t)", schedule.signal(t)), ("s(t)", schedule.noise(t))):
            assert_tensor(found, shape=tuple(t.shape), dtype=torch.float64, what=name)


@SCHEDULE.check()
def begins_with_the_image(schedule: Schedule, _: ImageShape) -> None:
    """a(0) = 1 and s(0) = 0."""
    zero = _times(schedule)[:1]
    a, s = float(schedule.signal(zero)), float(schedule.noise(zero))
    assert abs(a - 1) < _EXACTLY and abs(s) < _EXACTLY, (
        f"a(0) = {a!r} and s(0) = {s!r}: the table must begin with time 0"
    )


@SCHEDULE.check()
def noise_rises(schedule: Schedule, _: ImageShape) -> None:
    """From each time to the next a(t) never rises, s(t) never falls, and s(t)/a(t) rises."""
    t = _times(schedule)
    a, s = schedule.signal(t), schedule.noise(t)
    for name, wrong in (
        ("a(t) rises", a.diff() > 0),
        ("s(t) falls", s.diff() < 0),
        ("s(t)/a(t) does not rise", s[1:] * a[:-1] <= s[:-1] * a[1:]),
        ("a(t) is below 0", a[1:] < 0),
    ):
        at = t[1:][wrong]
        assert not len(at), f"{name} at t = {at[:1].tolist()}, and {len(at)} times in all"


@SCHEDULE.check()
def prior(schedule: Schedule, shape: ImageShape) -> None:
    """`prior` keeps shape and dtype, and depends only on the noise."""
    eps = noise(3, *shape.as_tuple)
    kept = eps.clone()
    found = schedule.prior(noise=eps)
    assert_tensor(found, shape=tuple(eps.shape), dtype=torch.float32, what="x_T")
    torch.manual_seed(1)
    assert_equal(schedule.prior(noise=kept), found, "x_T differs the second time")
    assert_equal(eps, kept, "the given noise was changed")


@SCHEDULE.check(capability="ends-in-noise")
def prior_is_what_diffusion_ends_in(schedule: Schedule, shape: ImageShape) -> None:
    """x_T of `prior` equals that of `diffuse` at T with the same noise, to 10%."""
    eps = noise(3, *shape.as_tuple)
    last = _times(schedule)[-1:].expand(3)
    diffused = schedule.diffuse(x_0=_SPREAD * pictures(3, shape), t=last, noise=eps)
    found = schedule.prior(noise=eps)
    off = float((found - diffused).square().mean().sqrt() / diffused.square().mean().sqrt())
    assert off <= _LEFT_AT_THE_END, (
        f"they differ by {off:.1%}: scale the noise by s(T), and let a(T) be next to nothing"
    )


def assert_estimate(of: Schedule | Parametrization, *, x_t: Tensor, t: Tensor, where: str) -> None:
    """Require the estimate's shape and dtype, and that each image depends on its own time alone."""
    raw = noise(*x_t.shape, seed=2)
    kept = x_t.clone(), raw.clone()
    found = of.estimate(x_t=x_t, raw=raw, t=t)
    assert_tensor(found, shape=tuple(x_t.shape), dtype=torch.float32, what=f"the estimate{where}")
    for given, before in zip((x_t, raw), kept, strict=True):
        assert_equal(given, before, "what was given was changed")
    alone = [of.estimate(x_t=x_t[k, None], raw=raw[k, None], t=t[k, None]) for k in range(len(t))]
    assert_close(found, torch.cat(alone), "an image's estimate depends on the rest of the batch")


def assert_listens(of: Schedule | Parametrization, *, x_t: Tensor, t: Tensor, where: str) -> None:
    """Require a finite gradient of the estimate by F, which at T is not zero."""
    raw = noise(*x_t.shape, seed=2).requires_grad_()
    found = of.estimate(x_t=x_t, raw=raw, t=t)
    assert found.requires_grad, "the estimate carries no gradient by F"
    (slope,) = torch.autograd.grad(found.sum(), raw)
    assert slope.isfinite().all(), f"the gradient{where} is not finite"
    assert slope[-1].all(), f"at T{where} the estimate does not depend on the network's output"


def assert_target(
    of: Schedule | Parametrization, *, path: Schedule, t: Tensor, shape: ImageShape, where: str
) -> None:
    """Require that the F that gives x_0 is of about unit size, or at most of that of x_t."""
    x_0, eps = (_SPREAD * noise(len(t), *shape.as_tuple), noise(len(t), *shape.as_tuple, seed=1))
    x_t = path.diffuse(x_0=x_0, t=t, noise=eps)
    # D is c_skip x_t + c_out F.
    skipped, at_1, at_2 = (
        of.estimate(x_t=x_t, raw=torch.full_like(x_t, raw), t=t).double() for raw in (0, 1, 2)
    )
    if not torch.allclose(at_2 - at_1, at_1 - skipped, rtol=1e-3, atol=1e-3):
        pytest.skip("its estimate is not linear in F")
    target = (x_0 - skipped) / (at_1 - skipped)
    sizes = target.square().mean(dim=(1, 2, 3)).sqrt()
    low, high = _TARGET_SIZE
    largest = high * x_t.double().square().mean(dim=(1, 2, 3)).sqrt().clamp(min=1)
    assert ((sizes >= low) & (sizes <= largest)).all(), (
        f"to give x_0, the network's output must have a root mean square of "
        f"{[float(f'{size:.3g}') for size in sizes.tolist()]}{where}, from the middle time to T: "
        "look for c_skip and c_out exchanged, or scale F by c_out"
    )


def assert_input(of: Schedule | Parametrization, *, x_t: Tensor, t: Tensor, where: str) -> None:
    """Require a network input of about unit size for each image."""
    kept = x_t.clone()
    found = of.network_input(x_t=x_t, t=t)
    assert_tensor(found, shape=tuple(x_t.shape), dtype=torch.float32, what="the network's input")
    assert_equal(x_t, kept, "x_t was changed")
    low, high = _UNIT_SIZE
    sizes = found.square().mean(dim=(1, 2, 3)).sqrt()
    assert ((sizes >= low) & (sizes <= high)).all(), (
        f"its root mean square{where} is {[round(size, 3) for size in sizes.tolist()]} at small, "
        "middle and last t: divide by √(a² σ² + s²), σ the deviation of the images"
    )


def assert_distinct(of: Schedule | Parametrization, *, t: Tensor, where: str) -> None:
    """Require finite float32 times for the network, all of them different."""
    found = of.network_time(t)
    assert_tensor(found, shape=tuple(t.shape), dtype=torch.float32, what="the network's time")
    repeated = len(found) - len(set(found.tolist()))
    assert not repeated, (
        f"the network sees {repeated} of {len(t)} times{where} twice: give it 1000·t/T, or ¼ ln σ, "
        "in float32"
    )


@SCHEDULE.check()
def estimate(schedule: Schedule, shape: ImageShape) -> None:
    """`estimate` is finite, float32, of the shape of x_t, and depends only on the image's time."""
    t = three_times(_times(schedule)[1:])
    assert_estimate(schedule, x_t=noise(3, *shape.as_tuple), t=t, where="")


@SCHEDULE.check()
def estimate_listens(schedule: Schedule, shape: ImageShape) -> None:
    """At T the estimate depends on F; at every time its gradient by F is finite."""
    t = three_times(_times(schedule)[1:])
    assert_listens(schedule, x_t=noise(3, *shape.as_tuple), t=t, where="")


@SCHEDULE.check()
def target_of_unit_size(schedule: Schedule, shape: ImageShape) -> None:
    """From the middle time to T, the F that gives x_0 is neither below 1/10 nor above 10 |x_t|."""
    times = _times(schedule)
    t = three_times(times[len(times) // 2 :])
    assert_target(schedule, path=schedule, t=t, shape=shape, where="")


@SCHEDULE.check()
def grid_falls(schedule: Schedule, _: ImageShape) -> None:
    """A grid has `steps` times, strictly falling from T, the last above 0."""
    most = int(schedule.last_time) if _is_discrete(schedule) else 1000
    dtype = _draw(schedule, 1).dtype
    for steps in sorted({1, 2, 3, 7, most // 2, most - 1, most} & set(range(1, _MOST_TIMES))):
        if steps > most:
            continue
        grid = schedule.grid(steps=steps)
        what = f"the grid of {steps} steps"
        assert_tensor(grid, shape=(steps,), dtype=dtype, what=what)
        assert grid.device.type == "cpu", f"{what} is on {grid.device}"
        first, last = float(grid[0]), float(grid[-1])
        assert first == schedule.last_time, f"{what} begins at {first:g}, not at T"
        assert last > 0, f"{what} ends at {last:g}"
        assert (grid.diff() < 0).all(), f"{what} does not fall strictly"


@SCHEDULE.check()
def grid_refuses(schedule: Schedule, _: ImageShape) -> None:
    """A grid of more steps than there are times raises a ValueError."""
    if not _is_discrete(schedule):
        pytest.skip("real times have no largest number of steps")
    steps = int(schedule.last_time) + 1
    with raises(ValueError, f"a grid of {steps} steps"):
        schedule.grid(steps=steps)


@SCHEDULE.check()
def network_time(schedule: Schedule, _: ImageShape) -> None:
    """`network_time` is finite, float32, and different at every time."""
    assert_distinct(schedule, t=_times(schedule)[1:], where="")


@SCHEDULE.check()
def network_input(schedule: Schedule, shape: ImageShape) -> None:
    """`network_input` has a root mean square between 1/4 and 4 at every time."""
    t = three_times(_times(schedule)[1:])
    assert_input(schedule, x_t=noisy(schedule, t, shape), t=t, where="")


def noisy(schedule: Schedule, t: Tensor, shape: ImageShape) -> Tensor:
    """x_t of Gaussian images with a deviation of 1/2."""
    x_0, eps = (noise(len(t), *shape.as_tuple, seed=seed) for seed in (0, 1))
    return schedule.diffuse(x_0=_SPREAD * x_0, t=t, noise=eps)


@SCHEDULE.check(capability="devices")
def devices(schedule: Schedule, _: ImageShape) -> None:
    """On a GPU, coefficients and draws are on the GPU and equal those on the CPU."""
    for device in gpus():
        t = three_times(_times(schedule)[1:])
        for name, function in (("a(t)", schedule.signal), ("s(t)", schedule.noise)):
            found = function(t.to(device))
            assert found.device.type == device.type, f"{name} is on {found.device}"
            message = f"{name} differs on {device}"
            assert_close(found.cpu(), function(t), message, relative=_EXACTLY)
        drawn = schedule.draw_times(count=3, generator=generator_for("times", device=device))
        assert drawn.device.type == device.type, f"times are drawn on {drawn.device}"
