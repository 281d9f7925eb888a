"""Optimizers whose state can be kept, one whose state cannot, and a network to try them on."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import nn

from dddm.support.optimizer_state import set_learning_rate

Make = Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]


def network(*, channels_last: bool = False) -> nn.Module:
    """A kernel, a matrix, vectors and a single number, the same each time."""
    torch.manual_seed(0)
    kernel = nn.Conv2d(4, 6, kernel_size=3)
    net = nn.Sequential(kernel, nn.Flatten(), nn.Linear(54, 9))
    net.scale = nn.Parameter(torch.ones(()))
    if channels_last:
        kernel.weight.data = kernel.weight.data.contiguous(memory_format=torch.channels_last)
    return net


def step(net: nn.Module, optimizer: torch.optim.Optimizer, *, seed: int) -> None:
    image_BCHW = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    (net(image_BCHW) * net.scale).square().sum().backward()
    set_learning_rate(optimizer, 1e-3 / (seed + 1))
    optimizer.step()


class EveryValue(torch.optim.Optimizer):
    """Keeps each kind of value that a checkpoint can hold, and needs it."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s.update(count=0, decay=1.0, odd=False, most=None, row=torch.zeros(2))
                    s.update(exact=torch.zeros_like(p, dtype=torch.float64))
                    s.update(bits=torch.zeros(3, dtype=torch.int8))
                s["count"] += 1
                s["decay"] *= 1 / 3
                s["odd"] = not s["odd"]
                s["most"] = float(p.grad.abs().max()) if s["count"] % 2 else None
                s["row"] += p.grad.mean()
                s["bits"] += s["count"]
                s["exact"] += p.grad.double() / 3
                slope = s["exact"].float() * (s["decay"] + s["row"][0]) + (s["most"] or 0.5)
                p.sub_(group["lr"] * slope * (2 if s["odd"] else 1) * s["bits"][1])


KEPT: Final[dict[str, Make]] = {
    "adam-fused": partial(torch.optim.Adam, lr=0.1, fused=True),
    "adam-amsgrad": partial(torch.optim.Adam, lr=0.1, amsgrad=True),
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "sgd-plain": partial(torch.optim.SGD, lr=0.1),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.1, centered=True, momentum=0.5),
    "adagrad": partial(torch.optim.Adagrad, lr=0.1),
    "adafactor": partial(torch.optim.Adafactor, lr=0.1),
    "nadam": partial(torch.optim.NAdam, lr=0.1),
    "rprop": partial(torch.optim.Rprop, lr=0.1),
    "asgd": partial(torch.optim.ASGD, lr=0.1),
    "every-value": EveryValue,
}


class Forgetful(torch.optim.SGD):
    """A right optimizer, into which the mistakes below are planted."""

    def keep(self, parameter: nn.Parameter) -> float:
        return 1.0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * self.keep(p) * p.grad)


class KeepsAList(Forgetful):
    def keep(self, parameter: nn.Parameter) -> float:
        losses = self.state[parameter].setdefault("losses", [])
        losses.append(float(len(losses)))
        return 1.0
