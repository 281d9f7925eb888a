"""A right backbone, and wrong ones."""

import functools
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import BackboneInfo, ImageShape
from dddm.interfaces.plugin import Kind, NoOptions
from planted.bug import Bug, bug


def through(layer: Any, hidden: Tensor) -> Tensor:
    """A layer's output, typed."""
    out: Tensor = layer(hidden)
    return out


class Small(Backbone):
    """Convolutions of x_t and of the estimate, moved by time and class."""

    uses_labels: bool = True

    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__()
        self.of_x_t = nn.Conv2d(shape.channels, 4, 3, padding=1)
        self.of_estimate = nn.Conv2d(shape.channels, 4, 3, padding=1)
        self.of_time = nn.Linear(1, 4)
        self.of_label = nn.Embedding(classes, 4)
        self.out = nn.Conv2d(4, shape.channels, 1)

    def embedding(self, t: Tensor, label: Tensor | None) -> Tensor:
        assert label is not None
        return through(self.of_time, t[:, None] / 1000) + through(self.of_label, label)

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        return self.of_x_t(x_t) + self.embedding(t, label)[:, :, None, None]

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(cache + self.of_estimate(estimate)))

    def select(self, cache: Any, *, index: Tensor) -> Any:
        return cache[index]


@final
class RightBackbone(Small):
    pass


@final
class CannotSelect(Small):
    def select(self, cache: Any, *, index: Tensor) -> Any:
        return Backbone.select(self, cache, index=index)


@final
class BatchNormOfTheBatch(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(self.norm(cache + self.of_estimate(estimate))))


@final
class BatchNormInTraining(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.norm = nn.BatchNorm2d(4)

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(self.norm(cache + self.of_estimate(estimate))))


@final
class MeanOfTheBatchInTraining(Small):
    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        cache = super().begin(x_t=x_t, t=t, label=label)
        return cache - cache.mean(0) if self.training else cache


@final
class DropsInTraining(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        out = super().refine(cache, estimate=estimate)
        return nn.functional.dropout(out, 0.3, training=self.training)


@final
class UnusedLayer(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.forgotten = nn.Linear(3, 3)


@final
class RefineWrites(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        cache += self.of_estimate(estimate)
        return through(self.out, torch.tanh(cache))


@final
class RemembersTheLast(Small):
    last: Tensor | None = None

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        seen = self.of_estimate(estimate)
        mixed = seen if self.last is None or self.last.shape != seen.shape else seen + self.last
        self.last = seen.detach()
        return through(self.out, torch.tanh(cache + mixed))


@final
class IgnoresLabels(Small):
    def embedding(self, t: Tensor, label: Tensor | None) -> Tensor:
        return through(self.of_time, t[:, None] / 1000) + self.of_label.weight.sum(0)


@final
class IgnoresTheEstimate(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(cache + self.of_estimate(torch.ones_like(estimate))))


@final
class WantsLabelsUnasked(Small):
    uses_labels = False


@final
class CountsLabels(Small):
    uses_labels = 3  # type: ignore[assignment]


@final
class RefinesByPosition(Small):
    def refine(self, cache: Any, guess: Tensor) -> Tensor:  # type: ignore[override]
        return super().refine(cache, estimate=guess)


@final
class PairsOnly(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        halves = cache.reshape(2, len(cache) // 2, *cache.shape[1:])
        return super().refine(halves.flatten(0, 1), estimate=estimate)


@final
class DropsInEvaluation(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return nn.functional.dropout(super().refine(cache, estimate=estimate), 0.3, training=True)


@final
class OwnSeed(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        torch.manual_seed(42)
        super().__init__(options, shape=shape, classes=classes)


@final
class WeightsOutsideTheState(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.scale = torch.rand(())

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return self.scale * super().refine(cache, estimate=estimate)


@final
class SharedWithTheCopy(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        out = self.out
        self.last = functools.partial(through, lambda hidden: out(hidden))  # noqa: PLW0108 - a bug

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return self.last(torch.tanh(cache + self.of_estimate(estimate)))


@final
class ClampsItsInput(Small):
    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        return super().begin(x_t=x_t.clamp_(-1, 1), t=t, label=label)


@final
class TrainsForEver(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        self.train()
        return super().refine(cache, estimate=estimate)


@final
class GradientTurnedRound(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        out = super().refine(cache, estimate=estimate)
        return out.detach() * 2 - out


@final
class SelectsTheFirst(Small):
    def select(self, cache: Any, *, index: Tensor) -> Any:
        return cache[: len(index)]


@final
class SingleAlone(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            cache = cache * 1e39
        poisoned: Tensor = super().refine(cache, estimate=estimate) * (cache.sum() * 0 + 1)
        return poisoned


@final
class StaysOnTheCpu(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return super().refine(cache, estimate=estimate) + torch.zeros(estimate.shape)


@final
class Doubles(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        return super().refine(cache, estimate=estimate).double()


class Attending(Small):
    """Attention whose keys have a bias of their own, which softmax cannot see."""

    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.query = nn.Linear(4, 4)
        self.key = nn.Linear(4, 4)
        self.value = nn.Linear(4, 4)

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        h_BCHW = torch.tanh(cache + self.of_estimate(estimate))
        h_BNC = h_BCHW.flatten(2).mT
        attended_BNC = nn.functional.scaled_dot_product_attention(
            self.query(h_BNC), self.key(h_BNC), self.value(h_BNC)
        )
        return through(self.out, h_BCHW + attended_BNC.mT.reshape(h_BCHW.shape))


@final
class KeysWithBias(Attending):
    pass


@final
class TimesZero(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.silent = nn.Conv2d(4, 4, 1)

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        h_BCHW = torch.tanh(cache + self.of_estimate(estimate))
        return through(self.out, h_BCHW + 0 * self.silent(h_BCHW))


@final
class GradientNearlyStopped(Small):
    """It acts on F in full, and its gradient is a hundred-millionth of what it should be."""

    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.shift = nn.Parameter(torch.zeros(4, 1, 1))

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        shift = self.shift.detach() + 1e-8 * (self.shift - self.shift.detach())
        return through(self.out, torch.tanh(cache + shift + self.of_estimate(estimate)))


class WithoutEstimate(Small):
    takes_estimate: bool = False

    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        del self.of_estimate

    def refine(self, cache: Any, *, estimate: Any) -> Tensor:
        assert estimate is None
        return through(self.out, torch.tanh(cache))


@final
class TakesNoEstimate(WithoutEstimate):
    pass


@final
class HidesThatItTakesNone(WithoutEstimate):
    pass


class Jump(Small):
    takes_second_time: bool = True

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Any:
        assert second_time is not None
        return super().begin(x_t=x_t, t=t - 3 * second_time, label=label)


@final
class TakesTwoTimes(Jump):
    pass


@final
class HidesItsSecondTime(Jump):
    pass


@final
class IgnoresItsSecondTime(Small):
    takes_second_time: bool = True

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Any:
        return super().begin(x_t=x_t, t=t, label=label)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        (out,) = ctx.saved_tensors
        return slopes[0] * (1 - out * out)


class OwnFunction(Small):
    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        apply: Any = _Tanh.apply
        h_BCHW: Tensor = apply(cache + self.of_estimate(estimate))
        return through(self.out, h_BCHW)


@final
class BackwardAlone(OwnFunction):
    pass


@final
class SaysBackwardAlone(OwnFunction):
    pass


def describing(**facts: Any) -> Any:
    return lambda options: BackboneInfo(**facts)


BUGS: Final[list[Bug]] = [
    bug(Kind.BACKBONE, RightBackbone),
    bug(Kind.BACKBONE, KeysWithBias),
    bug(Kind.BACKBONE, TakesNoEstimate, describe=describing(estimate=False)),
    bug(Kind.BACKBONE, TakesTwoTimes, describe=describing(second_time=True)),
    bug(Kind.BACKBONE, SaysBackwardAlone, describe=describing(forward_mode=False)),
    bug(Kind.BACKBONE, HidesThatItTakesNone, "backbone.what-it-takes"),
    bug(Kind.BACKBONE, HidesItsSecondTime, "backbone.what-it-takes"),
    bug(
        Kind.BACKBONE,
        IgnoresItsSecondTime,
        "backbone.everything-given-matters",
        describe=describing(second_time=True),
    ),
    bug(Kind.BACKBONE, BackwardAlone, "backbone.forward-mode"),
    bug(Kind.BACKBONE, TimesZero, "backbone.gradient-to-every-parameter"),
    bug(Kind.BACKBONE, GradientNearlyStopped, "backbone.gradient-to-every-parameter"),
    bug(Kind.BACKBONE, CannotSelect),
    bug(Kind.BACKBONE, DropsInTraining),
    bug(
        Kind.BACKBONE,
        BatchNormOfTheBatch,
        "backbone.images-on-their-own",
        "backbone.images-on-their-own-in-training",
    ),
    bug(Kind.BACKBONE, BatchNormInTraining, "backbone.images-on-their-own-in-training"),
    bug(Kind.BACKBONE, MeanOfTheBatchInTraining, "backbone.images-on-their-own-in-training"),
    bug(Kind.BACKBONE, UnusedLayer, "backbone.gradient-to-every-parameter"),
    bug(
        Kind.BACKBONE,
        RefineWrites,
        "backbone.begin-once-refine-often",
        "backbone.refine-leaves-the-cache",
    ),
    bug(
        Kind.BACKBONE,
        RemembersTheLast,
        "backbone.always-the-same",
        "backbone.begin-once-refine-often",
    ),
    bug(Kind.BACKBONE, IgnoresLabels, "backbone.everything-given-matters"),
    bug(
        Kind.BACKBONE,
        IgnoresTheEstimate,
        "backbone.everything-given-matters",
    ),
    bug(Kind.BACKBONE, WantsLabelsUnasked, "backbone.shape-of-the-image"),
    bug(Kind.BACKBONE, CountsLabels, "backbone.labels"),
    bug(Kind.BACKBONE, RefinesByPosition, "component.signatures"),
    bug(Kind.BACKBONE, PairsOnly, "backbone.shape-of-the-image"),
    bug(Kind.BACKBONE, DropsInEvaluation, "backbone.always-the-same"),
    bug(Kind.BACKBONE, OwnSeed, "backbone.weights-of-the-seed"),
    bug(Kind.BACKBONE, WeightsOutsideTheState, "backbone.state-round-trip"),
    bug(Kind.BACKBONE, SharedWithTheCopy, "backbone.copies"),
    bug(Kind.BACKBONE, ClampsItsInput, "backbone.inputs-unchanged"),
    bug(Kind.BACKBONE, TrainsForEver, "backbone.keeps-its-mode"),
    bug(Kind.BACKBONE, GradientTurnedRound, "backbone.trains"),
    bug(Kind.BACKBONE, SelectsTheFirst, "backbone.select"),
    bug(Kind.BACKBONE, SingleAlone, "backbone.lower-precision"),
    bug(Kind.BACKBONE, Doubles, "backbone.shape-of-the-image"),
]
ON_A_DEVICE: Final = bug(Kind.BACKBONE, StaysOnTheCpu, "backbone.devices")
