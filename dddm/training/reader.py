"""Reading training images so that the network does not wait for them.

While the network computes, a thread reads the next batch into memory from which an accelerator can
take it without waiting.
"""

from concurrent.futures import Future
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Batch, RealSets
from dddm.interfaces.shards import Shards
from dddm.support.images import from_uint8
from dddm.support.single_thread_executor import single_thread_executor
from dddm.training.batches import StepRows

_NOT_OWNED: Final = -1
_ROWS_AT_ONCE: Final = 4096

_Raw = tuple[Tensor, Tensor | None]


@final
class Reader:
    """Reads batches of a split, one ahead.

    Args:
        labels: whether labels are read too.
    """

    def __init__(self, split: Split, *, device: torch.device, labels: bool) -> None:
        self._split = split
        self._device = device
        self._labels = labels
        self._thread = single_thread_executor("dddm-reader")
        self._ahead: tuple[Tensor, Future[_Raw]] | None = None

    def read(self, rows: StepRows, *, upcoming: StepRows | None = None) -> Batch:
        """The images of a step; those of `upcoming` are read in the meantime."""
        index = _images_of(rows)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and torch.equal(ahead[0], index):
            image_BCHW, label_B = ahead[1].result()
        else:
            image_BCHW, label_B = self._raw(index)
        if upcoming is not None:
            following = _images_of(upcoming)
            self._ahead = (following, self._thread.submit(self._raw, following))
        x_0 = from_uint8(image_BCHW.to(self._device, non_blocking=True))
        label = None if label_B is None else label_B.to(self._device, non_blocking=True)
        count = len(rows.index)
        return Batch(
            index=rows.index,
            x_0=x_0[:count],
            label=None if label is None else label[:count],
            rows=rows.rows,
            sets=None
            if rows.real is None
            else RealSets(
                index=rows.real,
                x_0=x_0[count:].reshape(*rows.real.shape, *x_0.shape[1:]),
                label=None if label is None else label[:count].reshape(len(rows.real), -1)[:, 0],
            ),
        )

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _raw(self, index: Tensor) -> _Raw:
        label_B = self._split.labels(index) if self._labels else None
        return (
            self._pinned(self._split.images(index)),
            None if label_B is None else self._pinned(label_B),
        )

    def _pinned(self, tensor: Tensor) -> Tensor:
        """In memory that an accelerator reads by itself, where there is one."""
        if self._device.type != "cuda" or tensor.is_cuda:
            return tensor
        return tensor.pin_memory()


def _images_of(rows: StepRows) -> Tensor:
    """Indices of all images of a step, those of the sets last."""
    return rows.index if rows.real is None else torch.cat([rows.index, rows.real.flatten()])


@final
class ResidentSplit(Split):
    """A split of which some shards are in the memory of a device.

    Their images and labels come from there; others are read as before.

    Args:
        shards: that this process owns.
    """

    def __init__(self, split: Split, *, device: torch.device, shards: Shards) -> None:
        self._split, self._device, self._shards = split, device, shards
        self._first_row_S = torch.full((shards.count,), _NOT_OWNED)
        self._image_nCHW = torch.empty(
            shards.rows, *split.shape.as_tuple, dtype=torch.uint8, device=device
        )
        label_n = torch.empty(shards.rows, dtype=torch.int64)
        first = 0
        for shard in shards.owned:
            self._first_row_S[shard] = first
            for index in torch.split(shards.images_of(shard), _ROWS_AT_ONCE):
                rows = slice(first, first + len(index))
                self._image_nCHW[rows] = split.images(index).to(device)
                if (label_B := split.labels(index)) is not None:
                    label_n[rows] = label_B
                first = rows.stop
        self._label_n = label_n.to(device) if split.classes else None

    def _rows(self, index: Tensor) -> Tensor | None:
        """Where images are on the device; None if one of them is not there."""
        first_B = self._first_row_S[index % self._shards.count]
        if (first_B == _NOT_OWNED).any():
            return None
        return (first_B + index // self._shards.count).to(self._device, non_blocking=True)

    def __len__(self) -> int:
        return len(self._split)

    @property
    def shape(self) -> ImageShape:
        return self._split.shape

    @property
    def classes(self) -> tuple[str, ...]:
        return self._split.classes

    @property
    def manifest(self) -> str:
        return self._split.manifest

    def images(self, index: Tensor) -> Tensor:
        rows = self._rows(index)
        return (
            self._split.images(index).to(self._device) if rows is None else self._image_nCHW[rows]
        )

    def labels(self, index: Tensor) -> Tensor | None:
        if self._label_n is None:
            return None
        rows = self._rows(index)
        if rows is not None:
            return self._label_n[rows]
        labels = self._split.labels(index)
        return None if labels is None else labels.to(self._device)
