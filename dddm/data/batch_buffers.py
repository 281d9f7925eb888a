"""Memory for batches, used again as soon as nobody holds the batch that was in it.

Memory that is fresh from the system costs as much as the copy into it: each of its pages is zeroed
when it is first touched, and a batch of some megabytes goes back to the system when it is freed.
"""

import weakref
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_KEPT_BUFFERS: Final = 4
_LARGEST_KEPT_BYTES: Final = 1 << 26


@final
class BatchBuffers:
    """Makes tensors (rows, row_bytes), uint8, CPU, with any values in them.

    A tensor may be kept, changed and viewed at will: its memory is given to another only when it
    and all that shares its storage are gone.
    """

    def __init__(self, *, row_bytes: int) -> None:
        self._row_bytes = row_bytes
        self._free: list[npt.NDArray[np.uint8]] = []

    def take(self, rows: int) -> Tensor:
        """(rows, row_bytes), uint8."""
        buffer = self._pop(rows)
        # The tensor holds this view, and nobody else does: when it goes, the batch is gone.
        view = buffer[:rows]
        if buffer.nbytes <= _LARGEST_KEPT_BYTES:
            weakref.finalize(view, self._keep, buffer).atexit = False
        return torch.from_numpy(view)

    def _pop(self, rows: int) -> npt.NDArray[np.uint8]:
        try:
            buffer = self._free.pop()
        except IndexError:  # or another thread took the last one
            buffer = None
        if buffer is not None and len(buffer) >= rows:
            return buffer
        # numpy asks the system for large pages where an array is large; torch does not.
        return np.empty((rows, self._row_bytes), np.uint8)

    def _keep(self, buffer: npt.NDArray[np.uint8]) -> None:
        if len(self._free) < _KEPT_BUFFERS:
            self._free.append(buffer)
