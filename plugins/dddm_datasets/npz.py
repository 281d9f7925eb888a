"""Images in .npz files, as numpy and ADM's evaluation write them.  Imports no torch.

Shapes: N images in a file, in either layout; n of them in a block.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.data.source import Chunk, DecodedImages, PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.interfaces.info import ImageShape
from dddm.support.files import is_file, user_path
from dddm.support.splits import hold_out_evenly
from dddm_datasets.find_data import file_stamps
from dddm_datasets.npz_arrays import read_blocks, read_headers, read_labels, refuse_oversized
from dddm_datasets.options import NpzOptions

IMAGES: Final = ("images", "arr_0")
LABELS: Final = ("labels", "arr_1")
_CHANNELS: Final = (1, 3)
_AXES: Final = 4


@final
@frozen(kw_only=True)
class _ImageArray:
    """The images of one file, and the name of their labels' array, if there is one."""

    path: Path
    name: str
    labels_name: str | None
    images: int
    shape: ImageShape
    channels_last: bool

    def labels(self) -> npt.NDArray[np.int64] | None:
        if self.labels_name is None:
            return None
        highest = max(self.images, 2) - 1
        return read_labels(
            self.path, self.labels_name, images=self.images, lowest=0, highest=highest
        )


@final
@frozen(kw_only=True)
class NpzSource(PackSource):
    """One file to train on and, optionally, one to hold out."""

    options: NpzOptions

    @property
    def _paths(self) -> tuple[Path, ...]:
        named = (self.options.path, self.options.held_out_path)
        return tuple(user_path(name) for name in named if name is not None)

    def exists(self) -> bool:
        return is_file(self._paths[0])

    def identity(self) -> Mapping[str, Any]:
        for path in self._paths:
            if not is_file(path):
                raise DataError(
                    f"there is no file {path.name}",
                    where=str(path),
                    remedy="correct data.path or data.held_out_path; a relative path starts from "
                    "the working directory",
                )
        options = self.options
        return {
            "kind": "npz",
            "files": [stamp for path in self._paths for stamp in file_stamps({path.name: path})],
            "layout": options.layout,
            "classes": options.classes,
            "held_out_images": options.held_out_images,
        }

    def provenance(self) -> Mapping[str, Any]:
        return {
            "kind": "npz",
            "files": [str(path) for path in self._paths],
            "conversion": "none: values are stored as they are in the files",
        }

    def plan(self) -> PackPlan:
        """One chunk per file; all labels are checked."""
        arrays = [self._open(path) for path in self._paths]
        labels = [array.labels() for array in arrays]
        self._validate(arrays)
        highest = max((int(each.max()) for each in labels if each is not None), default=-1)
        train = arrays[0]
        index = {"train": np.arange(train.images)}
        if self.options.held_out_images:
            known = labels[0] if labels[0] is not None else np.zeros(train.images, np.int64)
            index["train"], index["held-out"] = hold_out_evenly(
                known, count=self.options.held_out_images
            )
        chunks = [Chunk(images=train.images, payload=(train, index))]
        splits = {split: len(rows) for split, rows in index.items()}
        for held_out in arrays[1:]:
            rows = {"held-out": np.arange(held_out.images)}
            chunks.append(Chunk(images=held_out.images, payload=(held_out, rows)))
            splits["held-out"] = held_out.images
        classes = tuple(str(k) for k in range(highest + 1))
        label_N = labels[0]
        counts = (
            () if label_N is None else np.bincount(label_N[index["train"]], minlength=len(classes))
        )
        return PackPlan(
            shape=train.shape,
            classes=classes,
            splits=splits,
            chunks=chunks,
            class_images=tuple(map(int, counts)),
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        array, index_by_split = chunk.payload
        labels_N = array.labels()
        first = 0
        for block in read_blocks(array.path, array.name):
            images_nCHW = block.transpose(0, 3, 1, 2) if array.channels_last else block
            last = first + len(block)
            for split, index in index_by_split.items():
                low, high = np.searchsorted(index, (first, last))
                if high > low:
                    yield DecodedImages(
                        split=split,
                        rows=np.arange(low, high),
                        images=images_nCHW[index[low:high] - first],
                        labels=None if labels_N is None else labels_N[index[low:high]],
                    )
            first = last

    def _open(self, path: Path) -> _ImageArray:
        headers = read_headers(path)
        name = next((name for name in IMAGES if name in headers), None)
        if name is None:
            arrays = ", ".join(f"{name}: {header}" for name, header in headers.items())
            raise DataError(
                f"{path.name} has no array called {' or '.join(IMAGES)}; it holds "
                f"{arrays or 'no array'}",
                where=str(path),
                remedy="save the images under the name `images`: numpy.savez(file, images=…)",
            )
        header = headers[name]
        if header.dtype != np.uint8 or len(header.shape) != _AXES or 0 in header.shape:
            raise DataError(
                f"{name} of {path.name} should be uint8 (N, height, width, channels) or "
                f"(N, channels, height, width) with at least one image; it is {header}",
                where=str(path),
                remedy="save values 0…255 as uint8 with four axes",
            )
        refuse_oversized(header, path=path, name=name)
        _, a, b, c = header.shape
        shapes = {
            "nhwc": ImageShape(channels=c, height=a, width=b) if c in _CHANNELS else None,
            "nchw": ImageShape(channels=a, height=b, width=c) if a in _CHANNELS else None,
        }
        wanted = [self.options.layout] if self.options.layout != "auto" else list(shapes)
        fitting = [(layout, shape) for layout in wanted if (shape := shapes[layout]) is not None]
        if len(fitting) != 1:
            what = "either axis may be the channels" if fitting else "no axis is 1 or 3 channels"
            raise DataError(
                f"{name} of {path.name} is {header}: {what}",
                where=str(path),
                remedy='set data.layout = "nhwc" or "nchw"'
                if fitting
                else "save grey images with one channel, or color images with three",
            )
        labels = next((name for name in LABELS if name in headers), None)
        return _ImageArray(
            path=path,
            name=name,
            labels_name=labels if self.options.classes == "labels" else None,
            images=header.shape[0],
            shape=fitting[0][1],
            channels_last=fitting[0][0] == "nhwc",
        )

    def _validate(self, arrays: Sequence[_ImageArray]) -> None:
        """Refuse files that do not match each other or the options."""
        where = ", ".join(str(array.path) for array in arrays)
        held_out, images = self.options.held_out_images, arrays[0].images
        if len({array.shape for array in arrays}) > 1:
            shapes = " and ".join(str(array.shape) for array in arrays)
            raise DataError(
                f"training and held-out images differ in shape: {shapes}",
                where=where,
                remedy="make them the same",
            )
        if len({array.labels_name is None for array in arrays}) > 1:
            raise DataError(
                "one of the two files has labels and the other has none",
                where=where,
                remedy='add them, or set data.classes = "none"',
            )
        if held_out and len(arrays) > 1:
            raise DataError(
                "held-out images are given twice: by held_out_path and held_out_images",
                where="data.held_out_images",
                remedy="remove one of them",
            )
        if held_out >= images:
            raise DataError(
                f"holding out {held_out} of {images} images leaves none to train on",
                where=where,
                remedy=f"set data.held_out_images below {images}",
            )
