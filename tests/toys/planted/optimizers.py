"""A right optimizer, and wrong ones."""

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from dddm.interfaces.plugin import Kind, NoOptions
from planted.bug import Bug, bug


class Descent(torch.optim.Optimizer):
    """Momentum and decoupled weight decay, with a step count."""

    def __init__(
        self,
        options: NoOptions,
        /,
        *,
        parameters: Sequence[nn.Parameter],
        learning_rate: float,
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                gradient = self.gradient(p)
                if gradient is not None:
                    state = self.state[p]
                    if not state:
                        state.update(sum=torch.zeros_like(p), steps=0)
                    state["steps"] += 1
                    state["sum"].mul_(0.5).add_(gradient)
                    self.move(p, rate=self.rate(p, group), along=state["sum"])

    def gradient(self, p: nn.Parameter) -> Tensor | None:
        return p.grad

    def rate(self, p: nn.Parameter, group: dict[str, Any]) -> float:
        rate: float = group["lr"]
        return rate

    def move(self, p: nn.Parameter, *, rate: float, along: Tensor) -> None:
        p.mul_(1 - 0.1 * rate).sub_(rate * along)


@final
class RightOptimizer(Descent):
    pass


@final
class LeavesOutTheLast(Descent):
    def __init__(self, options: NoOptions, /, **given: Any) -> None:
        super().__init__(
            options, parameters=given["parameters"][:-1], learning_rate=given["learning_rate"]
        )


@final
class NeedsALoss(Descent):
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is not None
        closure()


@final
class MatricesAlone(Descent):
    def move(self, p: nn.Parameter, *, rate: float, along: Tensor) -> None:
        if p.ndim >= 2:
            super().move(p, rate=rate, along=along)


@final
class Ascends(Descent):
    def move(self, p: nn.Parameter, *, rate: float, along: Tensor) -> None:
        p.add_(rate * along)


@final
class KeepsItsFirstRate(Descent):
    def __init__(self, options: NoOptions, /, **given: Any) -> None:
        super().__init__(options, **given)
        self._own = given["learning_rate"]

    def rate(self, p: nn.Parameter, group: dict[str, Any]) -> float:
        own: float = self._own
        return own


@final
class DecaysByItself(Descent):
    def move(self, p: nn.Parameter, *, rate: float, along: Tensor) -> None:
        p.mul_(1 - 1e-4).sub_(rate * along)


@final
class CoastsOn(Descent):
    def gradient(self, p: nn.Parameter) -> Tensor | None:
        return torch.zeros_like(p) if p.grad is None and self.state[p] else p.grad


@final
class Draws(Descent):
    def move(self, p: nn.Parameter, *, rate: float, along: Tensor) -> None:
        p.sub_(rate * (along + 0.01 * torch.randn(p.shape)))


@final
class KeepsLosses(Descent):
    def rate(self, p: nn.Parameter, group: dict[str, Any]) -> float:
        self.state[p].setdefault("norms", []).append(float(p.norm()))
        return super().rate(p, group)


@final
class CountsByItself(Descent):
    count = 0

    def rate(self, p: nn.Parameter, group: dict[str, Any]) -> float:
        self.count += 1
        return super().rate(p, group) / float(self.count)


@final
class WalksThroughMemory(Descent):
    def move(self, p: nn.Parameter, *, rate: float, along: Tensor) -> None:
        flat = p.data.as_strided((p.numel(),), (1,))
        flat.sub_(rate * along.reshape(-1))


@final
class StepsThroughOverflow(Descent):
    """It says that it sees to overflows, as fused kernels do, and does not."""

    _step_supports_amp_scaling = True

    def gradient(self, p: nn.Parameter) -> Tensor | None:
        return None if p.grad is None else p.grad.nan_to_num(0.0, 1.0, -1.0)


@final
class StaysOnADevice(Descent):
    def move(self, p: nn.Parameter, *, rate: float, along: Tensor) -> None:
        super().move(p, rate=0.0 if p.is_cuda else rate, along=along)


def optimizer(target: Any, *caught_by: str) -> Bug:
    return bug(Kind.OPTIMIZER, target, *(f"optimizer.{name}" for name in caught_by))


BUGS: Final[list[Bug]] = [
    optimizer(RightOptimizer),
    optimizer(LeavesOutTheLast, "over-its-parameters"),
    optimizer(NeedsALoss, "steps-on-gradients"),
    optimizer(MatricesAlone, "steps-on-gradients"),
    optimizer(Ascends, "lowers-a-quadratic"),
    optimizer(KeepsItsFirstRate, "follows-the-rate", "no-rate-no-change"),
    optimizer(DecaysByItself, "no-rate-no-change"),
    optimizer(CoastsOn, "leaves-what-has-no-gradient"),
    optimizer(Draws, "always-the-same"),
    optimizer(KeepsLosses, "state-can-be-saved", "goes-on-exactly"),
    optimizer(CountsByItself, "goes-on-exactly"),
    optimizer(WalksThroughMemory, "any-memory-order"),
    optimizer(StepsThroughOverflow, "leaves-out-overflows"),
]
ON_A_DEVICE: Final = optimizer(StaysOnADevice, "devices")
