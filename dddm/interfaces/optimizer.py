"""How gradients become new weights: any `torch.optim.Optimizer`.

A target of kind `optimizer` is called as

    target(options, parameters=[nn.Parameter, …], learning_rate=the first step's rate)

and returns a `torch.optim.Optimizer` over these parameters and no others, whose `step()` needs
nothing but gradients: no closure.  A parameter whose gradient is None stays as it is.

Before each step the learning rate is set as `lr` of every parameter group, times the group's own
`lr_scale` where it has one.  At a rate of 0 a step changes no weight: weight decay scales with it.

All that the optimizer keeps is in its `state`: for each parameter dense tensors, numbers and None
by name, which a checkpoint saves and a resumed run restores, bit for bit.  A trial on small
parameters checks this before training.  A step must not draw random numbers: every process makes it
on its own, and all must reach the same weights.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch

MakeOptimizer: TypeAlias = Callable[..., torch.optim.Optimizer]
"""What a target of kind `optimizer` is: a function, or a class with such an `__init__`."""
