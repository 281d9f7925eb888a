"""What a parametrization promises; see `dddm.interfaces.parametrization`.

Each promise is tried on three paths: a discrete one, the linear one, which ends in noise alone, and
one whose noise grows to 80.  A parametrization may refuse the last two by a RecipeError.

Legend: B images, C channels, H rows, W columns; T the last time.
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.parametrization import Parametrization
from dddm.testing.check import Suite, expect
from dddm.testing.material import expect_close, expect_equal, expect_tensor, gpus, noise
from dddm.testing.plain_paths import PATHS, PlainPath
from dddm.testing.subject import Subject

PARAMETRIZATION: Final = Suite(
    "parametrization",
    capabilities={"devices": "it computes the same on a GPU"},
)

_SPREAD: Final = 0.5
"""About the standard deviation of images in [-1, 1]."""
_OF_UNIT_VARIANCE: Final = (0.25, 4.0)


def _every(subject: Subject) -> Iterator[tuple[Parametrization, PlainPath]]:
    """The parametrization on each path that it does not refuse."""
    for path in PATHS:
        try:
            made: Parametrization = subject.build(schedule=path)
        except RecipeError:
            continue
        yield made, path


def _times(path: PlainPath) -> Tensor:
    """Times above 0, rising, of which T is the last."""
    return path.grid(steps=int(path.last) if path.discrete else 1000).flip(0)


def _three(path: PlainPath) -> Tensor:
    """The least time, one in the middle, and T."""
    times = _times(path)
    return times[[0, len(times) // 2, -1]]


def _noisy(path: PlainPath, t: Tensor, subject: Subject) -> Tensor:
    """x_t of images with a spread of 1/2, in any number of values."""
    shape = subject.shapes[0].as_tuple
    return path.diffuse(
        x_0=_SPREAD * noise(len(t), *shape), t=t, noise=noise(len(t), *shape, seed=1)
    )


@PARAMETRIZATION.check(basis=True)
def estimate(subject: Subject) -> None:
    """`estimate` is finite, float32, of the shape of x_t, each image by its own time."""
    for made, path in _every(subject):
        t = _three(path)
        x_t = _noisy(path, t, subject)
        raw = noise(*x_t.shape, seed=2)
        kept = x_t.clone(), raw.clone()
        found = made.estimate(x_t=x_t, raw=raw, t=t)
        what = f"the estimate on the {path.name} path"
        expect_tensor(found, shape=tuple(x_t.shape), dtype=torch.float32, what=what)
        for given, before in zip((x_t, raw), kept, strict=True):
            expect_equal(given, before, "what was given was changed")
        alone = torch.cat(
            [made.estimate(x_t=x_t[k, None], raw=raw[k, None], t=t[k, None]) for k in range(3)]
        )
        expect_close(found, alone, "an image's estimate depends on the rest of the batch")


@PARAMETRIZATION.check()
def finite_at_every_time(subject: Subject) -> None:
    """The estimate and the network's input are finite at every time from the least to T."""
    for made, path in _every(subject):
        t = _times(path)
        x_t = _noisy(path, t, subject)
        for what, found in (
            ("estimate", made.estimate(x_t=x_t, raw=noise(*x_t.shape, seed=2), t=t)),
            ("network's input", made.network_input(x_t=x_t, t=t)),
        ):
            wrong = t[~found.isfinite().flatten(1).all(1)]
            expect(
                not len(wrong),
                f"on the {path.name} path the {what} is not finite at t = {wrong[:3].tolist()}",
                remedy="write coefficients in a and s, in which nothing overflows where a is 0",
            )


@PARAMETRIZATION.check()
def estimate_listens(subject: Subject) -> None:
    """At T the estimate depends on F; its gradient of F is finite at every time."""
    for made, path in _every(subject):
        t = _times(path)
        x_t = _noisy(path, t, subject)
        raw = noise(*x_t.shape, seed=2).requires_grad_()
        found = made.estimate(x_t=x_t, raw=raw, t=t)
        expect(found.requires_grad, "the estimate carries no gradient of F")
        (slope,) = torch.autograd.grad(found.sum(), raw)
        expect(bool(slope.isfinite().all()), f"on the {path.name} path the gradient is not finite")
        expect(
            bool(slope[-1].all()),
            f"at T of the {path.name} path the estimate does not depend on what the network says",
        )


@PARAMETRIZATION.check()
def network_input(subject: Subject) -> None:
    """What the network sees of x_t is about 1 in size at every time, 1/4 to 4, for each image."""
    low, high = _OF_UNIT_VARIANCE
    for made, path in _every(subject):
        t = _three(path)
        x_t = _noisy(path, t, subject)
        kept = x_t.clone()
        found = made.network_input(x_t=x_t, t=t)
        expect_tensor(found, shape=tuple(x_t.shape), dtype=torch.float32, what="the input")
        expect_equal(x_t, kept, "x_t was changed")
        sizes = found.square().mean(dim=(1, 2, 3)).sqrt()
        expect(
            bool(((sizes >= low) & (sizes <= high)).all()),
            f"on the {path.name} path its root mean square is "
            f"{[round(size, 3) for size in sizes.tolist()]} at small, middle and last t",
            remedy="divide by √(a² σ_d² + s²), or leave it to Schedule.network_input",
        )


@PARAMETRIZATION.check()
def network_time(subject: Subject) -> None:
    """The network's times are float32, finite, also at 0, and different at every time."""
    for made, path in _every(subject):
        t = _times(path)
        found = made.network_time(t)
        expect_tensor(found, shape=tuple(t.shape), dtype=torch.float32, what="the network's time")
        alike = len(found) - len(set(found.tolist()))
        expect(
            not alike, f"on the {path.name} path the network sees {alike} of {len(t)} times twice"
        )
        zero = made.network_time(t[:1] * 0)
        expect(
            bool(zero.isfinite().all()),
            f"the network's time of 0 is {zero.item():g}, and a second time may be 0",
            remedy="clamp σ before its logarithm is taken",
        )


@PARAMETRIZATION.check(capability="devices")
def devices(subject: Subject) -> None:
    """On a GPU estimate, input and time are what they are on the CPU."""
    devices = list(gpus())
    for made, path in _every(subject):
        t = _three(path)
        x_t = _noisy(path, t, subject)
        raw = noise(*x_t.shape, seed=2)
        for device in devices:
            there_t, there_x, there_raw = t.to(device), x_t.to(device), raw.to(device)
            for what, found, wanted in (
                (
                    "the estimate",
                    made.estimate(x_t=there_x, raw=there_raw, t=there_t),
                    made.estimate(x_t=x_t, raw=raw, t=t),
                ),
                (
                    "the network's input",
                    made.network_input(x_t=there_x, t=there_t),
                    made.network_input(x_t=x_t, t=t),
                ),
                ("the network's time", made.network_time(there_t), made.network_time(t)),
            ):
                expect(found.device.type == device.type, f"{what} is on {found.device}")
                expect_close(found.cpu(), wanted, f"{what} differs on {device}", relative=1e-5)
