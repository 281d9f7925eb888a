"""Times that are real numbers: how they are told from integers, spaced and shown to the network."""

from typing import Final

import torch
from torch import Tensor

_NETWORK_TIMES: Final = 1000.0


def as_real(t: Tensor) -> Tensor:
    """Times as float64.

    Raises:
        TypeError: if `t` holds integers: 500 of a discrete schedule must not pass for a time.
    """
    if not t.is_floating_point():
        raise TypeError(f"times of this schedule are real numbers, not {t.dtype}")
    return t.to(torch.float64)


def uniform(*, count: int, generator: torch.Generator) -> Tensor:
    """U(0, 1], (count,), float64, on the generator's device."""
    # `rand` may give 0 and never gives 1; a time must not be 0.
    return 1 - torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64)


def even_grid(*, steps: int) -> Tensor:
    """1 = t_1 > … > t_s > 0, evenly: (s−i)/s for i = 0…s−1, (s,), float64, CPU.

    Raises:
        ValueError: if `steps` is below 1; there is no largest number.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps were asked for; there must be at least 1")
    return torch.arange(steps, 0, -1, dtype=torch.float64) / steps


def network_time(t: Tensor) -> Tensor:
    """1000 t, float32, as of a discrete schedule at the same fraction of T."""
    return (as_real(t) * _NETWORK_TIMES).to(torch.float32)
