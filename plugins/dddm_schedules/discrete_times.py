"""Times that are the integers 1…T: how they are drawn, spaced and shown to the network."""

from typing import Final, final

import torch
from torch import Tensor

_NETWORK_TIMES: Final = 1000.0


@final
class DiscreteTimes:
    """1…T.  Every schedule that looks its coefficients up in a table has these.

    Attributes:
        last: T.
    """

    def __init__(self, last: int) -> None:
        self.last: Final = last

    def draw(self, *, count: int, generator: torch.Generator) -> Tensor:
        """U{1…T}, (count,), int64, on the generator's device."""
        return torch.randint(
            1, self.last + 1, (count,), generator=generator, device=generator.device
        )

    def grid(self, *, steps: int) -> Tensor:
        """T = t_1 > … > t_s > 0, (s,), int64, CPU: ⌈T (s−i)/s⌉ for i = 0…s−1.

        Raises:
            ValueError: if `steps` is not in 1…T.
        """
        if not 1 <= steps <= self.last:
            raise ValueError(
                f"{steps} steps were asked for, but this schedule has times 1…{self.last}"
            )
        return self.last - torch.arange(steps) * self.last // steps

    def network_time(self, t: Tensor) -> Tensor:
        """1000 t/T, float32: one embedding of time serves every T."""
        return (t.to(torch.float64) * (_NETWORK_TIMES / self.last)).to(torch.float32)
