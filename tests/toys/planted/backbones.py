"""A right backbone, and wrong ones."""

import functools
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.facts import ImageShape
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

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(begun + self.of_estimate(estimate)))

    def select(self, begun: Any, *, index: Tensor) -> Any:
        return begun[index]


@final
class RightBackbone(Small):
    pass


@final
class CannotSelect(Small):
    def select(self, begun: Any, *, index: Tensor) -> Any:
        return Backbone.select(self, begun, index=index)


@final
class BatchNormOfTheBatch(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(self.norm(begun + self.of_estimate(estimate))))


@final
class BatchNormInTraining(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.norm = nn.BatchNorm2d(4)

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(self.norm(begun + self.of_estimate(estimate))))


@final
class MeanOfTheBatchInTraining(Small):
    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        begun = super().begin(x_t=x_t, t=t, label=label)
        return begun - begun.mean(0) if self.training else begun


@final
class DropsInTraining(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        out = super().refine(begun, estimate=estimate)
        return nn.functional.dropout(out, 0.3, training=self.training)


@final
class UnusedLayer(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        self.forgotten = nn.Linear(3, 3)


@final
class RefineWrites(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        begun += self.of_estimate(estimate)
        return through(self.out, torch.tanh(begun))


@final
class RemembersTheLast(Small):
    last: Tensor | None = None

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        seen = self.of_estimate(estimate)
        mixed = seen if self.last is None or self.last.shape != seen.shape else seen + self.last
        self.last = seen.detach()
        return through(self.out, torch.tanh(begun + mixed))


@final
class IgnoresLabels(Small):
    def embedding(self, t: Tensor, label: Tensor | None) -> Tensor:
        return through(self.of_time, t[:, None] / 1000) + self.of_label.weight.sum(0)


@final
class IgnoresTheEstimate(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return through(self.out, torch.tanh(begun + self.of_estimate(torch.ones_like(estimate))))


@final
class WantsLabelsUnasked(Small):
    uses_labels = False


@final
class CountsLabels(Small):
    uses_labels = 3  # type: ignore[assignment]


@final
class RefinesByPosition(Small):
    def refine(self, begun: Any, guess: Tensor) -> Tensor:  # type: ignore[override]
        return super().refine(begun, estimate=guess)


@final
class PairsOnly(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        halves = begun.reshape(2, len(begun) // 2, *begun.shape[1:])
        return super().refine(halves.flatten(0, 1), estimate=estimate)


@final
class DropsInEvaluation(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return nn.functional.dropout(super().refine(begun, estimate=estimate), 0.3, training=True)


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

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return self.scale * super().refine(begun, estimate=estimate)


@final
class SharedWithTheCopy(Small):
    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__(options, shape=shape, classes=classes)
        out = self.out
        self.last = functools.partial(through, lambda hidden: out(hidden))  # noqa: PLW0108 - a bug

    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return self.last(torch.tanh(begun + self.of_estimate(estimate)))


@final
class ClampsItsInput(Small):
    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        return super().begin(x_t=x_t.clamp_(-1, 1), t=t, label=label)


@final
class TrainsForEver(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        self.train()
        return super().refine(begun, estimate=estimate)


@final
class GradientTurnedRound(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        out = super().refine(begun, estimate=estimate)
        return out.detach() * 2 - out


@final
class SelectsTheFirst(Small):
    def select(self, begun: Any, *, index: Tensor) -> Any:
        return begun[: len(index)]


@final
class SingleAlone(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            begun = begun * 1e39
        poisoned: Tensor = super().refine(begun, estimate=estimate) * (begun.sum() * 0 + 1)
        return poisoned


@final
class StaysOnTheCpu(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return super().refine(begun, estimate=estimate) + torch.zeros(estimate.shape)


@final
class Doubles(Small):
    def refine(self, begun: Any, *, estimate: Tensor) -> Tensor:
        return super().refine(begun, estimate=estimate).double()


BUGS: Final[list[Bug]] = [
    bug(Kind.BACKBONE, RightBackbone),
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
        "backbone.refine-leaves-what-was-begun",
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
