"""Reading training images so that the network does not wait for them.

While the network computes, a thread reads the next batch into memory from which an accelerator can
take it without waiting.
"""

from concurrent.futures import Future
from typing import final

import torch
from torch import Tensor

from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Batch, RealSets
from dddm.support.images import from_uint8
from dddm.support.single_thread_executor import single_thread_executor
from dddm.training.batches import StepRows

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
    """A split whose images and labels are in the memory of a device; its images come from there."""

    def __init__(self, split: Split, *, device: torch.device) -> None:
        every = torch.arange(len(split))
        self._split = split
        self._image_NCHW = split.images(every).to(device)
        label_N = split.labels(every)
        self._label_N = None if label_N is None else label_N.to(device)

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
        return self._image_NCHW[index.to(self._image_NCHW.device, non_blocking=True)]

    def labels(self, index: Tensor) -> Tensor | None:
        if self._label_N is None:
            return None
        return self._label_N[index.to(self._label_N.device, non_blocking=True)]
