"""Gradient descent with momentum."""

from collections.abc import Sequence

import torch
from torch import nn


def descent(
    options: object, *, parameters: Sequence[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.5)
