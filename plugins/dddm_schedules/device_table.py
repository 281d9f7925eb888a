"""A table of numbers that is looked up on whatever device asks."""

from typing import final

import torch
from torch import Tensor


@final
class DeviceTable:
    """One row of numbers; each device is sent its copy once."""

    def __init__(self, entries: Tensor) -> None:
        """Take the entries, 1-D, on the CPU; they must not be changed afterwards."""
        self._copies: dict[torch.device, Tensor] = {entries.device: entries}

    def at(self, index: Tensor) -> Tensor:
        """The entries at `index`, integers, in its shape and on its device.

        Raises:
            TypeError: if `index` does not hold integers; a time must not be cut to one silently.
        """
        if index.is_floating_point():
            raise TypeError(f"times of this schedule are integers, but these are {index.dtype}")
        copy = self._copies.get(index.device)
        if copy is None:
            copy = self._copies[index.device] = next(iter(self._copies.values())).to(index.device)
        return copy[index]
