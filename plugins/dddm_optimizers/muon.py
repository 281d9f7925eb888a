"""Muon: momentum, orthogonalised; with Adam for what is not a matrix.

For a weight W of m outputs, a convolution's kernel flattened to m × n (Jordan et al. 2024,
kellerjordan.github.io/posts/muon):

    M ← µ·M + (1 − µ)·G
    U = (1 − µ)·G + µ·M, Nesterov's form, or M
    O = NewtonSchulz(U), near the orthogonal matrix U(UᵀU)^(−1/2)
    W ← (1 − η·λ)·W − η·r·√max(m, n)·O

√max(m, n)·O has a root mean square of 1 whatever the shape, so that r is that of the update; at
r = 0.2 it is Adam's, and both take one learning rate (Liu et al. 2025, "Muon is scalable for LLM
training", eq. 4).  NewtonSchulz repeats X ← aX + bAX + cA²X with A = XXᵀ, whose coefficients
bring every singular value near 1, to between 0.7 and 1.2, in five steps.

Norms, biases, and kernels with few channels are Adam's (Kingma & Ba 2015), in a parameter group
of the same optimizer.  Written here because torch has Muon since 2.9 only, for matrices alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from dddm_optimizers.options import MuonOptions

_COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
_SMALLEST_NORM: Final = 1e-7
_MATRIX_DIMENSIONS: Final = 2


def orthogonalise(matrix: Tensor, *, steps: int) -> Tensor:
    """A matrix (m, n) with the same singular vectors, and singular values near 1; float32.

    In bfloat16 on a GPU, which is what the coefficients were chosen for; in float32 on a CPU.
    """
    a, b, c = _COEFFICIENTS
    x: Tensor = matrix.to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=_SMALLEST_NORM)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).float()


def is_matrix(parameter: Tensor, *, least_channels: int) -> bool:
    """Whether a parameter is orthogonalised: it has inputs and outputs, and enough of both."""
    return parameter.ndim >= _MATRIX_DIMENSIONS and min(parameter.shape[:2]) >= least_channels


@final
class Muon(torch.optim.Optimizer):
    """Muon for matrices and kernels, Adam for all else."""

    def __init__(
        self,
        options: MuonOptions,
        /,
        *,
        parameters: Sequence[nn.Parameter],
        learning_rate: float,
    ) -> None:
        chosen = [is_matrix(p, least_channels=options.least_channels) for p in parameters]
        matrices = [p for p, muon in zip(parameters, chosen, strict=True) if muon]
        others = [p for p, muon in zip(parameters, chosen, strict=True) if not muon]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "lr": learning_rate, "lr_scale": 1.0, "muon": True},
            {
                "params": others,
                "lr": learning_rate * options.adam_scale,
                "lr_scale": options.adam_scale,
                "muon": False,
            },
        ]
        super().__init__([g for g in groups if g["params"]], {"lr": learning_rate})
        self._options = options

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    if decay := self._options.weight_decay:
                        parameter.mul_(1 - group["lr"] * decay)
                    update(parameter, rate=group["lr"])
        return loss

    def _muon(self, parameter: Tensor, *, rate: float) -> None:
        o, state, gradient = self._options, self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        momentum = state["momentum_buffer"]
        momentum.lerp_(gradient, 1 - o.momentum)
        update = gradient.lerp(momentum, o.momentum) if o.nesterov else momentum
        # Of a kernel in channels-last order `flatten` copies: O is computed on the same numbers.
        matrix = update.flatten(1)
        size = o.update_rms * max(matrix.shape) ** 0.5
        direction = orthogonalise(matrix, steps=o.newton_schulz_steps)
        parameter.add_(direction.reshape(parameter.shape), alpha=-rate * size)

    def _adam(self, parameter: Tensor, *, rate: float) -> None:
        state, gradient = self.state[parameter], parameter.grad
        first, second = self._options.adam_betas
        assert gradient is not None
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        mean = state["exp_avg"].lerp_(gradient, 1 - first)
        square = state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (square / (1 - second ** state["step"])).sqrt_().add_(self._options.adam_eps)
        parameter.addcdiv_(mean, root, value=-rate / (1 - first ** state["step"]))
