"""What a parametrization promises; see `dddm.interfaces.parametrization`.

It is tested on three paths: a discrete one, the linear one, which ends in noise alone, and one
whose noise grows to 80.  It may refuse the last two by a RecipeError.

Legend: B images, C channels, H rows, W columns; T the last time, F the network's output.
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.info import ImageShape
from dddm.interfaces.parametrization import Parametrization
from dddm.testing.check import Suite
from dddm.testing.checks.schedule import (
    assert_distinct,
    assert_estimate,
    assert_input,
    assert_listens,
    assert_target,
    noisy,
    three_times,
)
from dddm.testing.subject import Subject
from dddm.testing.tensors import assert_close, gpus, noise
from dddm.testing.toys import PATHS, ToySchedule


def _paths(subject: Subject) -> Iterator[tuple[Parametrization, ToySchedule, ImageShape, str]]:
    """The parametrization on each path that it does not refuse, and the path in words."""
    for path in PATHS:
        try:
            made: Parametrization = subject.build(schedule=path)
        except RecipeError:
            continue
        yield made, path, subject.shapes[0], f" on the {path.name} path"


PARAMETRIZATION: Final = Suite(
    "parametrization",
    interface=Parametrization,
    cases=_paths,
    capabilities={"devices": "it computes the same on a GPU"},
)


def _every_time(path: ToySchedule) -> Tensor:
    """Rising times above 0, of which T is the last."""
    return path.grid(steps=int(path.last) if path.discrete else 1000).flip(0)


@PARAMETRIZATION.check(basis=True)
def estimate(made: Parametrization, path: ToySchedule, shape: ImageShape, where: str) -> None:
    """`estimate` is finite, float32, of the shape of x_t, and depends only on the image's time."""
    t = three_times(_every_time(path))
    assert_estimate(made, x_t=noisy(path, t, shape), t=t, where=where)


@PARAMETRIZATION.check()
def finite_at_every_time(
    made: Parametrization, path: ToySchedule, shape: ImageShape, where: str
) -> None:
    """The estimate and the network's input are finite at every time above 0."""
    t = _every_time(path)
    x_t = noisy(path, t, shape)
    for what, found in (
        ("estimate", made.estimate(x_t=x_t, raw=noise(*x_t.shape, seed=2), t=t)),
        ("network's input", made.network_input(x_t=x_t, t=t)),
    ):
        wrong = t[~found.isfinite().flatten(1).all(1)]
        assert not len(wrong), (
            f"the {what}{where} is not finite at t = {wrong[:3].tolist()}: write it in a and s, so "
            "that nothing overflows where a is 0"
        )


@PARAMETRIZATION.check()
def estimate_listens(
    made: Parametrization, path: ToySchedule, shape: ImageShape, where: str
) -> None:
    """At T the estimate depends on F; its gradient by F is finite at every time."""
    t = _every_time(path)
    assert_listens(made, x_t=noisy(path, t, shape), t=t, where=where)


@PARAMETRIZATION.check()
def target_of_unit_size(
    made: Parametrization, path: ToySchedule, shape: ImageShape, where: str
) -> None:
    """From the middle time to T, the F that gives x_0 is neither below 1/10 nor above 10 |x_t|."""
    times = _every_time(path)
    t = three_times(times[len(times) // 2 :])
    assert_target(made, path=path, t=t, shape=shape, where=where)


@PARAMETRIZATION.check()
def real_times(made: Parametrization, path: ToySchedule, shape: ImageShape, where: str) -> None:
    """Where times are real numbers, the estimate and the input are not those of rounded times."""
    if path.discrete:
        return
    t = _every_time(path)
    x_t, raw = (noise(1, *shape.as_tuple, seed=k).expand(len(t), -1, -1, -1) for k in (1, 2))
    for what, found in (
        ("estimate", made.estimate(x_t=x_t, raw=raw, t=t)),
        ("network's input", made.network_input(x_t=x_t, t=t)),
    ):
        distinct = len(torch.unique(found.flatten(1), dim=0))
        assert distinct == 1 or distinct >= len(t) / 4, (
            f"at {len(t)} times{where} the {what} takes {distinct} values: times are real numbers; "
            "do not round them, as by t.long()"
        )


@PARAMETRIZATION.check()
def network_input(made: Parametrization, path: ToySchedule, shape: ImageShape, where: str) -> None:
    """`network_input` of each image has a root mean square between 1/4 and 4 at every time."""
    t = three_times(_every_time(path))
    assert_input(made, x_t=noisy(path, t, shape), t=t, where=where)


@PARAMETRIZATION.check()
def network_time(made: Parametrization, path: ToySchedule, _: ImageShape, where: str) -> None:
    """`network_time` is finite, also at 0, float32, and different at every time."""
    t = _every_time(path)
    assert_distinct(made, t=t, where=where)
    zero = made.network_time(t[:1] * 0)
    assert zero.isfinite().all(), (
        f"the network's time of 0 is {zero.item():g}, and a second time may be 0: clamp σ before "
        "its logarithm"
    )


@PARAMETRIZATION.check(capability="devices")
def devices(made: Parametrization, path: ToySchedule, shape: ImageShape, _: str) -> None:
    """On a GPU, estimate, input and time equal those on the CPU."""
    for device in gpus():
        t = three_times(_every_time(path))
        x_t, raw = noisy(path, t, shape), noise(3, *shape.as_tuple, seed=2)
        for function, given in (
            (made.estimate, {"x_t": x_t, "raw": raw, "t": t}),
            (made.network_input, {"x_t": x_t, "t": t}),
            (made.network_time, {"t": t}),
        ):
            name = function.__name__
            found: Tensor = function(**{key: value.to(device) for key, value in given.items()})
            assert found.device.type == device.type, f"{name} is on {found.device}"
            assert_close(
                found.cpu(), function(**given), f"{name} differs on {device}", relative=1e-5
            )
