"""Which row of a process's own table belongs to which image.

Legend: n images owned by this process, B images asked for.
"""

from typing import final

import torch
from torch import Tensor

_INDICES_NAMED = 8


def name_indices(index: Tensor) -> str:
    """The first few of `index`, for a message."""
    named = ", ".join(str(k) for k in index[:_INDICES_NAMED].tolist())
    return f"{named}, …" if len(index) > _INDICES_NAMED else named


@final
class OwnedRows:
    """Finds rows by bisection: it takes memory for the owned images alone, and no Python loop."""

    def __init__(self, owned: Tensor, *, images: int) -> None:
        """Take the owned indices, (n,), int64, CPU, strictly ascending, in 0…images-1.

        Raises:
            ValueError: if they are not so.
        """
        rising = bool((owned[1:] > owned[:-1]).all())
        if not rising or (len(owned) and (owned[0] < 0 or owned[-1] >= images)):
            raise ValueError(f"owned indices must ascend, in 0…{images - 1}")
        self._owned_n = owned.clone()

    @property
    def index(self) -> Tensor:
        """The owned indices, (n,)."""
        return self._owned_n

    def rows_of(self, index: Tensor) -> Tensor:
        """Rows (B,), int64, of images `index`, (B,), int64, CPU.

        Raises:
            ValueError: if an image is not this process's own.
        """
        if not len(self._owned_n):
            foreign_B = torch.ones_like(index, dtype=torch.bool)
            row_B = index
        else:
            row_B = torch.searchsorted(self._owned_n, index).clamp_max(len(self._owned_n) - 1)
            foreign_B = self._owned_n[row_B] != index
        if foreign_B.any():
            named = name_indices(index[foreign_B])
            raise ValueError(f"the store of this process does not hold images {named}")
        return row_B
