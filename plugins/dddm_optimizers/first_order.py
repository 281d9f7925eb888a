"""The built-in optimizers that torch has: Adam and its relatives, and SGD.

    adam   Kingma & Ba 2015, algorithm 1; the paper's, §5.1
    adamw  Loshchilov & Hutter 2019, algorithm 2: θ ← θ − η·λ·θ beside Adam's step
    radam  Liu et al. 2020, algorithm 2, with the same decoupled decay
    sgd    v ← µ·v + g + λ·θ, θ ← θ − η·v; Sutskever et al. 2013 for Nesterov's form

Fused kernels where torch has them: they make one pass over the weights instead of a dozen.
"""

from collections.abc import Sequence

import torch
from torch import nn

from dddm_optimizers.options import AdamOptions, AdamWOptions, RAdamOptions, SGDOptions


def adam(
    options: AdamOptions, /, *, parameters: Sequence[nn.Parameter], learning_rate: float
) -> torch.optim.Adam:
    """Adam without weight decay."""
    first, second = options.betas
    return torch.optim.Adam(
        parameters, lr=learning_rate, betas=(first, second), eps=options.eps, fused=True
    )


def adamw(
    options: AdamWOptions, /, *, parameters: Sequence[nn.Parameter], learning_rate: float
) -> torch.optim.AdamW:
    """Adam with decoupled weight decay."""
    first, second = options.betas
    return torch.optim.AdamW(
        parameters,
        lr=learning_rate,
        betas=(first, second),
        eps=options.eps,
        weight_decay=options.weight_decay,
        fused=True,
    )


def radam(
    options: RAdamOptions, /, *, parameters: Sequence[nn.Parameter], learning_rate: float
) -> torch.optim.RAdam:
    """Adam that is SGD with momentum until its second moment can be trusted."""
    first, second = options.betas
    return torch.optim.RAdam(
        parameters,
        lr=learning_rate,
        betas=(first, second),
        eps=options.eps,
        weight_decay=options.weight_decay,
        decoupled_weight_decay=True,
    )


def sgd(
    options: SGDOptions, /, *, parameters: Sequence[nn.Parameter], learning_rate: float
) -> torch.optim.SGD:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        parameters,
        lr=learning_rate,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=True,
    )
