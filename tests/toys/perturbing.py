"""Networks away from where they begin: with layers at zero, half of a network cannot be seen."""

import torch
from torch import Tensor, nn


def perturb(module: nn.Module, *, size: float = 0.1) -> None:
    """Add noise to every parameter."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers of a shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
