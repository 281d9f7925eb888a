"""Backbones with planted mistakes."""

from typing import Any, Final

import torch
from torch import Tensor, nn

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import BackboneInfo, ImageShape
from dddm.interfaces.plugin import Kind, NoOptions
from planted.bug import Bug, Planter, first, given, then

F = nn.functional


class Small(Backbone):
    """Convolutions of x_t and of the estimate, shifted by time and class."""

    uses_labels: bool = True
    of_estimate: Any

    def __init__(self, options: NoOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__()
        self.of_x_t = nn.Conv2d(shape.channels, 4, 3, padding=1)
        self.of_estimate = nn.Conv2d(shape.channels, 4, 3, padding=1)
        self.of_time = nn.Linear(1, 4)
        self.of_label = nn.Embedding(classes, 4)
        self.out = nn.Conv2d(4, shape.channels, 1)

    def of_class(self, label: Tensor | None) -> Any:
        assert label is not None
        return self.of_label(label)

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Any:
        embedding = self.of_time(t[:, None] / 1000) + self.of_class(label)
        return self.of_x_t(x_t) + embedding[:, :, None, None]

    def mixed(self, cache: Any, estimate: Any) -> Any:
        return cache + self.of_estimate(estimate)

    def hidden(self, cache: Any, estimate: Any) -> Any:
        return torch.tanh(self.mixed(cache, estimate))

    def refine(self, cache: Any, *, estimate: Tensor) -> Tensor:
        out: Tensor = self.out(self.hidden(cache, estimate))
        return out

    def select(self, cache: Any, *, index: Tensor) -> Any:
        return cache[index]


class Jump(Small):
    takes_second_time: bool = True

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> Any:
        return super().begin(x_t=x_t, t=t - 3 * self.seen(second_time), label=label)

    def seen(self, second_time: Any) -> Any:
        return second_time


class _Tanh(torch.autograd.Function):
    """Without a forward-mode derivative."""

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


def without_estimate(self: Any) -> None:
    del self.of_estimate
    self.of_estimate = lambda _estimate: 0.0


def with_attention(self: Any) -> None:
    self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))


def attended(self: Any, cache: Any, estimate: Tensor) -> Any:
    """The bias of the keys changes nothing, as softmax is invariant to it."""
    h_BCHW = Small.hidden(self, cache, estimate)
    h_BNC = h_BCHW.flatten(2).mT
    attention = F.scaled_dot_product_attention
    attended_BNC = attention(self.query(h_BNC), self.key(h_BNC), self.value(h_BNC))
    return h_BCHW + attended_BNC.mT.reshape(h_BCHW.shape)


def seeded(self: Any, options: NoOptions, **built: Any) -> None:
    torch.manual_seed(42)
    Small.__init__(self, options, **built)


def mixed_with_the_last(self: Any, cache: Any, estimate: Tensor) -> Any:
    seen, last = self.of_estimate(estimate), getattr(self, "last", None)
    self.last = seen.detach()
    return cache + (seen if last is None or last.shape != seen.shape else seen + last)


def overflowing(self: Any, cache: Any, *, estimate: Tensor) -> Any:
    if torch.is_autocast_enabled("cpu"):
        cache = cache * 1e39
    return Small.refine(self, cache, estimate=estimate) * (cache.sum() * 0 + 1)


def nearly_stopped(self: Any, cache: Any, estimate: Tensor) -> Any:
    """F depends on the shift in full, with a gradient a hundred-millionth of what it should be."""
    shift = self.shift.detach() + 1e-8 * (self.shift - self.shift.detach())
    return Small.mixed(self, cache + shift, estimate)


def outside_modules(self: Any) -> None:
    out = self.out
    self.outer = [lambda hidden: out(hidden)]  # noqa: PLW0108 - a copy shares the closure


def facts(**said: Any) -> dict[str, Any]:
    return {"describe": lambda _options: BackboneInfo(**said)}


backbone = Planter(Kind.BACKBONE, Small)
BUGS: Final[list[Bug]] = [
    backbone("right"),
    backbone("keys-with-bias", setup=with_attention, hidden=attended),
    backbone("takes-no-estimate", setup=without_estimate, takes_estimate=False,
             register=facts(estimate=False)),
    backbone("takes-two-times", base=Jump, register=facts(second_time=True)),
    backbone("declared-backward-only", mixed=then(_Tanh.apply),
             register=facts(forward_mode=False)),
    backbone("cannot-select", select=Backbone.select),
    backbone("drops-in-training", refine=lambda self, cache, *, estimate: F.dropout(
        Small.refine(self, cache, estimate=estimate), 0.3, training=self.training)),
    backbone("undeclared-no-estimate", "what-it-takes", setup=without_estimate,
             takes_estimate=False),
    backbone("undeclared-second-time", "what-it-takes", base=Jump),
    backbone("undeclared-classes", "what-it-takes", register=facts(classes=False)),
    backbone("ignores-second-time", "everything-given-matters", base=Jump,
             seen=lambda self, _: 0, register=facts(second_time=True)),
    backbone("ignores-labels", "everything-given-matters",
             of_class=lambda self, _: self.of_label.weight.sum(0)),
    backbone("ignores-the-estimate", "everything-given-matters",
             refine=given(estimate=torch.ones_like)),
    backbone("whole-times", "real-times", begin=given(t=lambda t: t.long().float())),
    backbone("nearest-times", "real-times", begin=given(t=torch.round)),
    backbone("whole-second-times", "real-times", base=Jump, register=facts(second_time=True),
             seen=lambda self, second: second.long()),
    backbone("collapses-classes", "tells-classes-apart",
             of_class=lambda self, label: self.of_label(label.clamp(max=1))),
    backbone("backward-only", "forward-mode", mixed=then(_Tanh.apply)),
    backbone("times-zero", "gradient-to-every-parameter",
             setup=lambda self: setattr(self, "silent", nn.Conv2d(4, 4, 1)),
             hidden=lambda self, *c: (h := Small.hidden(self, *c)) + 0 * self.silent(h)),
    backbone("gradient-nearly-stopped", "gradient-to-every-parameter",
             setup=lambda self: setattr(self, "shift", nn.Parameter(torch.zeros(4, 1, 1))),
             mixed=nearly_stopped),
    backbone("unused-layer", "gradient-to-every-parameter",
             setup=lambda self: setattr(self, "unused", nn.Linear(3, 3))),
    backbone("batch-norm-of-the-batch", "images-on-their-own images-on-their-own-in-training",
             setup=lambda self: setattr(self, "norm", nn.BatchNorm2d(4, track_running_stats=False)),
             mixed=lambda self, *c: self.norm(Small.mixed(self, *c))),
    backbone("batch-norm-in-training", "images-on-their-own-in-training",
             setup=lambda self: setattr(self, "norm", nn.BatchNorm2d(4)),
             mixed=lambda self, *c: self.norm(Small.mixed(self, *c))),
    backbone("batch-mean-in-training", "images-on-their-own-in-training",
             mixed=lambda self, c, x: Small.mixed(self, c - c.mean(0) * self.training, x)),
    backbone("refine-writes", "begin-once-refine-often refine-leaves-the-cache",
             mixed=lambda self, cache, x: cache.add_(self.of_estimate(x))),
    backbone("remembers-the-last", "always-the-same begin-once-refine-often",
             mixed=mixed_with_the_last),
    backbone("labels-undeclared", "shape-of-the-image", uses_labels=False),
    backbone("pairs-only", "shape-of-the-image", refine=given(
        cache=lambda c: c.reshape(2, len(c) // 2, *c.shape[1:]).flatten(0, 1))),
    backbone("float64", "shape-of-the-image", refine=then(Tensor.double)),
    backbone("counts-labels", "labels", uses_labels=3),
    backbone("refines-by-position", "component.signatures",
             refine=lambda self, cache, guess: Small.refine(self, cache, estimate=guess)),
    backbone("drops-in-evaluation", "always-the-same",
             refine=then(lambda out: F.dropout(out, 0.3, training=True))),
    backbone("fixed-seed", "weights-of-the-seed", __init__=seeded),
    backbone("weights-outside-the-state", "state-round-trip",
             setup=lambda self: setattr(self, "scale", torch.rand(())),
             mixed=lambda self, *c: self.scale * Small.mixed(self, *c)),
    backbone("shared-with-the-copy", "copies", setup=outside_modules,
             refine=lambda self, cache, *, estimate: self.outer[0](self.hidden(cache, estimate))),
    backbone("clamps-its-input", "inputs-unchanged", begin=given(x_t=lambda x: x.clamp_(-1, 1))),
    backbone("switches-to-training", "keeps-its-mode",
             refine=first(lambda self, *_, **__: self.train())),
    backbone("reversed-gradient", "trains", refine=then(lambda out: out.detach() * 2 - out)),
    backbone("selects-the-first", "select",
             select=lambda self, cache, *, index: cache[: len(index)]),
    backbone("float32-only", "lower-precision", refine=overflowing),
    backbone("stays-on-the-cpu", "devices", refine=then(lambda out: out + torch.zeros(out.shape))),
]  # fmt: skip
