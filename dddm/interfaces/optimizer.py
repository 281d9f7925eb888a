"""How gradients become new weights: any `torch.optim.Optimizer`.

A target of kind `optimizer` is called as

    target(options, parameters=[nn.Parameter, …], learning_rate=the first step's rate)

and returns a `torch.optim.Optimizer` over these parameters and no others.  Before each step the
learning rate is set as `lr` of every parameter group, times the group's own `lr_scale` where it has
one.  All that the optimizer keeps is in its `state`: for each parameter tensors and numbers by
name, which a checkpoint saves and a resumed run goes on with.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn


class MakeOptimizer(Protocol):
    """What a target of kind `optimizer` is: a function, or a class with such an `__init__`."""

    def __call__(
        self, options: Any, /, *, parameters: Sequence[nn.Parameter], learning_rate: float
    ) -> torch.optim.Optimizer:
        """Make an optimizer of these parameters."""
