"""Metrics with planted mistakes, and mistakes in registrations that any kind can have."""

from collections.abc import Iterator
from typing import Any, Final, final

import attrs
import numpy as np
import torch
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import Conformance, Issue, Kind, RecipeContext, WeightFile, option
from dddm.support.weights import find_weights
from planted.bug import Bug, Planter, first, given, then


class Charbonnier(Metric):
    """√((a − b)² + c²) − c, mean over pixels."""

    def __init__(self, options: Any) -> None:
        self.c = 0.01

    def pixels(self, away: Tensor) -> Tensor:
        square = away.square()
        return square / ((square + self.c**2).sqrt() + self.c)

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return self.pixels(estimate - target).flatten(1).mean(1)


@final
class RightMetric(Charbonnier):
    pass


@final
class OneNumber(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return super().distance(estimate=estimate, target=target).mean()


@final
class Nothing(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        raise RuntimeError("nothing")


@final
class Asymmetric(Charbonnier):
    def pixels(self, away: Tensor) -> Tensor:
        return torch.where(away > 0, away, -2 * away)


def below_zero(self: Any, *, estimate: Tensor, target: Tensor) -> Tensor:
    square = (estimate - target).square().flatten(1).mean(1)
    return square - 1e-8 * (1 - torch.exp(-1e9 * square))


metric = Planter(Kind.METRIC, Charbonnier)
METRICS: Final[list[Bug]] = [
    metric("right", base=RightMetric),
    metric("one-number", "one-number-for-each-image", base=OneNumber),
    metric("nothing", "one-number-for-each-image", base=Nothing),
    metric("asymmetric", "symmetric", base=Asymmetric),
    metric("half-precision", "one-number-for-each-image", distance=then(Tensor.half)),
    metric("mean-over-batch", "images-on-their-own gradient",
           distance=then(lambda d: d.mean().expand(len(d)))),
    metric("sharp-corner", "gradient-at-equality", distance=lambda self, *, estimate, target: (
        (estimate - target).square().flatten(1).mean(1).sqrt())),
    metric("without-subtracting", "zero-at-equality",
           pixels=lambda self, away: (away.square() + self.c**2).sqrt()),
    metric("below-zero", "never-negative", distance=below_zero),
    metric("blind", "above-zero-where-images-differ gradient",
           pixels=lambda self, away: 0 * away),
    metric("drawing", "always-the-same",
           pixels=lambda self, away: away.square() * (torch.rand(away.shape[1:]) > 0.5)),
    metric("reseeding", "generators-unchanged",
           distance=first(lambda *_, **__: torch.manual_seed(0))),
    metric("drawing-in-numpy", "generators-unchanged",
           distance=first(lambda *_, **__: np.random.rand())),  # noqa: NPY002
    metric("reversed-gradient", "gradient-is-the-slope",
           distance=then(lambda d: 2 * d.detach() - d)),
    metric("half-a-gradient", "gradient-is-the-slope",
           distance=then(lambda d: d / 2 + d.detach() / 2)),
    metric("grey", "every-channel-counts", distance=given(
        estimate=lambda images: images.mean(1, keepdim=True),
        target=lambda images: images.mean(1, keepdim=True))),
    metric("first-channels", "every-channel-counts", pixels=lambda self, away: (
        Charbonnier.pixels(self, away[:, :2]))),
    metric("writing-in-place", "inputs-unchanged",
           distance=given(target=lambda target: target.clamp_(-0.9, 0.9))),
    metric("without-gradient", "gradient", distance=given(estimate=Tensor.detach)),
    metric("overflowing", "far-out", pixels=lambda self, away: torch.cosh(5 * away) - 1),
    metric("first-target-only", "several-targets",
           distances=given(targets=lambda targets: [targets[0]] * len(targets))),
    metric("several-without-gradient", "several-targets",
           distances=given(estimate=Tensor.detach)),
    metric("trained-on-nothing", "says-what-it-was-trained-on", trained_on=""),
    metric("lost-on-a-device", "devices", to=lambda self, device: setattr(self, "c", 1.0)),
]  # fmt: skip

WEIGHTS: Final = WeightFile(
    name="a-file-that-is-not-there.bin",
    url="https://example.org/weights.bin",
    size_bytes=10,
    sha256="0" * 64,
)


@attrs.frozen(kw_only=True)
class Options:
    c: float = option(0.01, above=0, help="Where the corner is.")
    words: tuple[str, ...] = option((), help="Some words.")


def twice(c: float) -> float:
    return 2 * c


@attrs.frozen(kw_only=True)
class Doubling:
    c: float = attrs.field(
        default=0.01, converter=twice, metadata={"help": "Twice that.", "bounds": {}}
    )


@attrs.frozen(kw_only=True, eq=False)
class ComparedByIdentity:
    c: float = option(0.01, help="Where the corner is.")


@attrs.define(kw_only=True)
class Mutable:
    c: float = option(0.01, help="Where the corner is.")


@attrs.frozen(kw_only=True)
class Terse:
    c: float = option(0.01, help="c")


@attrs.frozen(kw_only=True)
class Required:
    c: float = option(help="Where the corner is.")


@attrs.frozen(kw_only=True)
class WithFactory:
    c: float = option(attrs.Factory(lambda: 0.01), help="Where the corner is.")


class NotFinal(Charbonnier):
    pass


@final
class NoMetric:
    def __init__(self, options: object) -> None:
        pass


def issue(name: str) -> Any:
    def check(_options: Any, _context: RecipeContext) -> Iterator[Issue]:
        yield Issue(option=name, what="it is never right")

    return check


def raising(error: Exception) -> Any:
    def setup(_: Any) -> None:
        raise error

    return setup


def default_float64(_: Any) -> None:
    torch.set_default_dtype(torch.float64)


def registered(name: str, caught_by: str = "", *, setup: Any = None, **registration: Any) -> Bug:
    return metric(name, caught_by, register=registration, setup=setup)


EXAMPLES: Final = Conformance(examples=({"c": 0.1}, {"words": ["a", "ü\n"], "c": 1}))
MISSED: Final = "component.misses-its-weights"
REGISTRATIONS: Final[list[Bug]] = [
    registered("with-options", options=Options, conformance=EXAMPLES),
    registered("with-weights", setup=lambda _: find_weights(WEIGHTS), weights=(WEIGHTS,)),
    registered("doubling", "options.round-trip", options=Doubling),
    registered("compared-by-identity", "options.round-trip", options=ComparedByIdentity),
    registered("mutable", "options.frozen", options=Mutable),
    registered("terse", "options.helpful", options=Terse),
    registered("required", "options.read", options=Required),
    registered("with-factory", "options.schema options.defaults", options=WithFactory),
    registered("never-accepts", "options.accepted", options=Options, check=issue("c")),
    registered("names-no-option", "options.accepted", options=Options, check=issue("d")),
    registered("long-summary", "component.has-a-summary", summary="m" * 120),
    Bug(kind=Kind.METRIC, name="not-final", target=NotFinal,
        caught_by=frozenset({"component.is-final"})),
    metric("no-metric", "component.builds", base=NoMetric),
    registered("default-float64", "component.leaves-torch-alone", setup=default_float64),
    registered("undeclared-weights", "component.declares-its-weights",
               setup=lambda _: find_weights(WEIGHTS), needs=lambda _options: (WEIGHTS,)),
    registered("without-weights", MISSED, weights=(WEIGHTS,)),
    registered("another-error", MISSED, weights=(WEIGHTS,),
               setup=raising(FileNotFoundError("no such file"))),
    registered("error-without-name", MISSED, weights=(WEIGHTS,),
               setup=raising(DataError("something is missing"))),
]  # fmt: skip
BUGS: Final = [*METRICS, *REGISTRATIONS]
