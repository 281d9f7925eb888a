"""Images in .npz files, as numpy and ADM's evaluation write them.  Imports no torch.

Shapes: N images in a file, in either layout; n of them in a stretch.
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
from dddm.support.splits import hold_out_evenly
from dddm_datasets.npz_rows import ArrayHeader, headers, read_whole, stretches
from dddm_datasets.options import NpzOptions

IMAGES: Final = ("images", "arr_0")
LABELS: Final = ("labels", "arr_1")
_CHANNELS: Final = (1, 3)
_AXES: Final = 4


@final
@frozen(kw_only=True)
class _Array:
    """The images of one file.

    Attributes:
        channels_last: whether the layout is N×H×W×C.
        labels: name of their array; None where there is none.
    """

    path: Path
    name: str
    labels: str | None
    images: int
    shape: ImageShape
    channels_last: bool


@final
@frozen(kw_only=True)
class NpzSource(PackSource):
    """One file to train on and, where there is a second, one to hold out."""

    options: NpzOptions

    @property
    def _paths(self) -> tuple[Path, ...]:
        named = (self.options.path, self.options.held_out_path)
        return tuple(Path(name).expanduser().absolute() for name in named if name is not None)

    def exists(self) -> bool:
        """Whether the file to train on is."""
        return self._paths[0].is_file()

    def identity(self) -> Mapping[str, Any]:
        """The files with sizes and times of change, and the options that decide what is read."""
        files = []
        for path in self._paths:
            if not path.is_file():
                raise DataError(
                    f"there is no file {path.name}",
                    where=str(path),
                    remedy="correct data.path or data.held_out_path; a relative path starts from "
                    "the working directory",
                )
            stat = path.stat()
            files.append([path.name, stat.st_size, stat.st_mtime_ns])
        options = self.options
        return {
            "kind": "npz",
            "files": files,
            "layout": options.layout,
            "classes": options.classes,
            "held_out_images": options.held_out_images,
        }

    def provenance(self) -> Mapping[str, Any]:
        """The files; no image is converted."""
        return {
            "kind": "npz",
            "files": [str(path) for path in self._paths],
            "conversion": "none: values are taken as they are stored",
        }

    def plan(self) -> PackPlan:
        """One chunk a file, all of whose labels are looked at.

        Raises:
            DataError: if an array is missing or of the wrong type or shape, a label is negative,
                or files do not fit each other or the options.
        """
        arrays = [self._array(path) for path in self._paths]
        labels = [self._labels(array) for array in arrays]
        self._refuse_what_does_not_fit(arrays)
        highest = max(
            (int(one.max()) for one in labels if one is not None and len(one)), default=-1
        )
        classes = tuple(str(k) for k in range(highest + 1))
        if len(arrays) > 1:
            splits = {"train": arrays[0].images, "held-out": arrays[1].images}
            rows = [
                ("train", np.arange(arrays[0].images)),
                ("held-out", np.arange(arrays[1].images)),
            ]
            contents = [(arrays[0], rows[:1]), (arrays[1], rows[1:])]
        else:
            count = self.options.held_out_images
            known = labels[0] if labels[0] is not None else np.zeros(arrays[0].images, np.int64)
            train, held_out = hold_out_evenly(known, count=count)
            splits = {"train": len(train), **({"held-out": count} if count else {})}
            contents = [(arrays[0], [("train", train), ("held-out", held_out)])]
        chunks = [Chunk(images=content[0].images, payload=content) for content in contents]
        return PackPlan(shape=arrays[0].shape, classes=classes, splits=splits, chunks=chunks)

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        """One file, some images at a time."""
        array, places = chunk.payload
        labels_N = self._labels(array)
        first = 0
        for stretch in stretches(array.path, array.name):
            images_nCHW = _channels_first(stretch, array)
            last = first + len(images_nCHW)
            for split, index in places:
                low, high = np.searchsorted(index, (first, last))
                of_stretch = index[low:high]
                if len(of_stretch):
                    yield DecodedImages(
                        split=split,
                        rows=np.arange(low, high),
                        images=images_nCHW[of_stretch - first],
                        labels=None if labels_N is None else labels_N[of_stretch],
                    )
            first = last

    def _array(self, path: Path) -> _Array:
        found = headers(path)
        name = next((name for name in IMAGES if name in found), None)
        if name is None:
            arrays = ", ".join(f"{name}: {header}" for name, header in found.items()) or "no array"
            raise DataError(
                f"{path.name} has no array called {' or '.join(IMAGES)}; it holds {arrays}",
                where=str(path),
                remedy="save the images under the name `images`: numpy.savez(file, images=…)",
            )
        header = found[name]
        channels_last, shape = self._layout(path, name, header)
        labels = next((name for name in LABELS if name in found), None)
        return _Array(
            path=path,
            name=name,
            labels=labels if self.options.classes == "labels" else None,
            images=header.shape[0],
            shape=shape,
            channels_last=channels_last,
        )

    def _layout(self, path: Path, name: str, header: ArrayHeader) -> tuple[bool, ImageShape]:
        """Whether channels are last, and the shape of an image."""
        if header.dtype != np.uint8 or len(header.shape) != _AXES or 0 in header.shape:
            raise DataError(
                f"{name} of {path.name} should be uint8 (N, height, width, channels) or "
                f"(N, channels, height, width) with at least one image; it is {header}",
                where=str(path),
                remedy="save values 0…255 as uint8 with four axes",
            )
        _, a, b, c = header.shape
        fits = {"nhwc": c in _CHANNELS, "nchw": a in _CHANNELS}
        layouts = [self.options.layout] if self.options.layout != "auto" else list(fits)
        layouts = [layout for layout in layouts if fits[layout]]
        if len(layouts) != 1:
            either = "either axis may be the channels" if layouts else "no axis is 1 or 3 channels"
            raise DataError(
                f"{name} of {path.name} is {header}: {either}",
                where=str(path),
                remedy='set data.layout = "nhwc" or "nchw"'
                if layouts
                else "save grey images with one channel or coloured ones with three",
            )
        last = layouts[0] == "nhwc"
        channels, height, width = (c, a, b) if last else (a, b, c)
        return last, ImageShape(channels=channels, height=height, width=width)

    def _labels(self, array: _Array) -> npt.NDArray[np.int64] | None:
        if array.labels is None:
            return None
        labels = read_whole(array.path, array.labels)
        if labels.shape != (array.images,) or labels.dtype.kind not in "iu":
            raise DataError(
                f"{array.labels} should be {array.images} whole numbers, one an image; it is "
                f"{labels.dtype} {labels.shape}",
                where=str(array.path),
                remedy='save the class of each image as a number, or set data.classes = "none"',
            )
        wrong = np.flatnonzero((labels < 0) | (labels >= max(array.images, 2)))
        if len(wrong):
            raise DataError(
                f"a label is {labels[wrong[0]]}, outside 0…{max(array.images, 2) - 1}, and so are "
                f"{len(wrong) - 1} others",
                where=f"{array.path}, {array.labels}, row {wrong[0]}",
                remedy='number the classes from 0 without gaps, or set data.classes = "none"',
            )
        return labels.astype(np.int64)

    def _refuse_what_does_not_fit(self, arrays: Sequence[_Array]) -> None:
        where = ", ".join(str(array.path) for array in arrays)
        if len({array.shape for array in arrays}) > 1:
            shapes = " and ".join(str(array.shape) for array in arrays)
            raise DataError(
                f"images to train on and held-out ones differ in shape: {shapes}",
                where=where,
                remedy="make them alike",
            )
        if len({array.labels is None for array in arrays}) > 1:
            raise DataError(
                "one of the two files has labels and the other has none",
                where=where,
                remedy='add them, or set data.classes = "none"',
            )
        held_out = self.options.held_out_images
        if held_out and len(arrays) > 1:
            raise DataError(
                "held-out images are named twice: as a file and as a number",
                where="data.held_out_images",
                remedy="leave one of held_out_path and held_out_images out",
            )
        if held_out >= arrays[0].images:
            raise DataError(
                f"{held_out} of {arrays[0].images} images held out leave none to train on",
                where=where,
                remedy=f"set data.held_out_images below {arrays[0].images}",
            )


def _channels_first(stretch: npt.NDArray[np.uint8], array: _Array) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(stretch.transpose(0, 3, 1, 2)) if array.channels_last else stretch
