"""A right metric, and wrong ones."""

from collections.abc import Sequence
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import Kind, NoOptions
from planted.bug import Bug, bug


class Charbonnier(Metric):
    """√((a − b)² + c²) − c, mean over pixels."""

    def __init__(self, options: NoOptions) -> None:
        self.c = 0.01

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        square = (estimate - target).square()
        rounded = square / ((square + self.c**2).sqrt() + self.c)
        return rounded.flatten(1).mean(1)


@final
class RightMetric(Charbonnier):
    pass


@final
class MeanOverBatch(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        each = super().distance(estimate=estimate, target=target)
        return each.mean().expand(len(each))


@final
class OneNumber(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return super().distance(estimate=estimate, target=target).mean()


@final
class Nothing(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        raise RuntimeError("nothing")


@final
class SharpCorner(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return (estimate - target).square().flatten(1).mean(1).sqrt()


@final
class Asymmetric(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        away = estimate - target
        return torch.where(away > 0, away, -2 * away).flatten(1).mean(1)


@final
class HalfPrecision(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return super().distance(estimate=estimate, target=target).half()


@final
class WithoutSubtracting(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return ((estimate - target).square() + self.c**2).sqrt().flatten(1).mean(1)


@final
class BelowZero(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        square = (estimate - target).square().flatten(1).mean(1)
        return square - 1e-8 * (1 - torch.exp(-1e9 * square))


@final
class Blind(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return (estimate - target)[:, :, :0].square().flatten(1).sum(1)


@final
class Drawing(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        kept = torch.rand(estimate.shape[1:]) > 0.5
        return ((estimate - target) * kept).square().flatten(1).mean(1)


@final
class WritingInPlace(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return super().distance(estimate=estimate, target=target.clamp_(-0.9, 0.9))


@final
class WithoutGradient(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return super().distance(estimate=estimate.detach(), target=target)


@final
class Overflowing(Charbonnier):
    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return (torch.cosh(5 * (estimate - target)) - 1).flatten(1).mean(1)


@final
class FirstTargetAlone(Charbonnier):
    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        first = self.distance(estimate=estimate, target=targets[0])
        return (first,) * len(targets)


@final
class SeveralWithoutGradient(Charbonnier):
    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return super().distances(estimate=estimate.detach(), targets=targets)


@final
class TrainedOnNothing(Charbonnier):
    @property
    def trained_on(self) -> str | None:
        return ""


@final
class LostOnADevice(Charbonnier):
    def to(self, device: torch.device) -> None:
        self.c = 1.0


BUGS: Final[list[Bug]] = [
    bug(Kind.METRIC, RightMetric),
    bug(Kind.METRIC, MeanOverBatch, "metric.images-on-their-own", "metric.gradient"),
    bug(Kind.METRIC, OneNumber, "metric.one-number-for-each-image"),
    bug(Kind.METRIC, Nothing, "metric.one-number-for-each-image"),
    bug(Kind.METRIC, SharpCorner, "metric.gradient-at-equality"),
    bug(Kind.METRIC, Asymmetric, "metric.symmetric"),
    bug(Kind.METRIC, HalfPrecision, "metric.one-number-for-each-image"),
    bug(Kind.METRIC, WithoutSubtracting, "metric.zero-at-equality"),
    bug(Kind.METRIC, BelowZero, "metric.never-negative"),
    bug(
        Kind.METRIC,
        Blind,
        "metric.above-zero-where-images-differ",
        "metric.gradient",
    ),
    bug(Kind.METRIC, Drawing, "metric.always-the-same"),
    bug(Kind.METRIC, WritingInPlace, "metric.inputs-unchanged"),
    bug(Kind.METRIC, WithoutGradient, "metric.gradient"),
    bug(Kind.METRIC, Overflowing, "metric.far-out"),
    bug(Kind.METRIC, FirstTargetAlone, "metric.several-targets"),
    bug(Kind.METRIC, SeveralWithoutGradient, "metric.several-targets"),
    bug(Kind.METRIC, TrainedOnNothing, "metric.says-what-it-was-trained-on"),
]
ON_A_DEVICE: Final = bug(Kind.METRIC, LostOnADevice, "metric.devices")
