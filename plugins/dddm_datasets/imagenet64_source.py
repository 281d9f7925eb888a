"""ImageNet 64×64 from its official batches (Chrabaszcz et al. 2017).  Imports no torch.

`train_data_batch_1.npz` … `train_data_batch_10.npz` and `val_data.npz` each hold `data`, (N, 12288)
uint8, the three 64×64 planes of an image one after the other, and `labels`, 1…1000.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dddm.data.source import Chunk, DecodedImages, PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm_datasets.descriptions import IMAGENET64
from dddm_datasets.npz_rows import headers, read_whole, stretches
from dddm_datasets.places import candidates, not_found

TRAIN: Final = tuple(f"train_data_batch_{k}.npz" for k in range(1, 11))
HELD_OUT: Final = "val_data.npz"
HELD_OUT_IMAGES: Final = 50_000
FOLDERS: Final = (
    "imagenet64",
    "Imagenet64_train_npz",
    "Imagenet64_train_part1_npz",
    "Imagenet64_train_part2_npz",
    "Imagenet64_val_npz",
)
"""As the official archives unpack; the batches may lie in several of them."""
_GET: Final = (
    "the archives Imagenet64_train_part1_npz.zip, Imagenet64_train_part2_npz.zip and "
    "Imagenet64_val_npz.zip are at https://image-net.org/download-images.php"
)
_CLASSES: Final = len(IMAGENET64.classes)


@final
@frozen(kw_only=True)
class ImageNet64Source(PackSource):
    """Ten training batches, and the validation images as the split `held-out`.

    Attributes:
        path: that the recipe gives.
        subset: whether fewer batches or images than the official ones are accepted.
    """

    path: str | None
    subset: bool

    def _found(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in candidates(self.path, names=FOLDERS):
            for name in (*TRAIN, HELD_OUT):
                if name not in found and (folder / name).is_file():
                    found[name] = folder / name
        return {name: found[name] for name in (*TRAIN, HELD_OUT) if name in found}

    def exists(self) -> bool:
        """Whether any training batch is."""
        return any(name in TRAIN for name in self._found())

    def _files(self) -> dict[str, Path]:
        found = self._found()
        if not any(name in TRAIN for name in found):
            what = f"ImageNet 64×64 ({TRAIN[0]} … {TRAIN[-1]}, {HELD_OUT})"
            raise not_found(what, path=self.path, names=FOLDERS, get=_GET)
        missing = [name for name in (*TRAIN, HELD_OUT) if name not in found]
        if missing and not self.subset:
            raise DataError(
                f"ImageNet 64×64 is not whole: {', '.join(missing)} missing",
                where=", ".join(sorted({str(path.parent) for path in found.values()})),
                remedy=f"add them, or set data.subset = true to use what is there; {_GET}",
            )
        return found

    def identity(self) -> Mapping[str, Any]:
        """The files with their sizes and times of change."""
        stats = {name: path.stat() for name, path in self._files().items()}
        return {
            "kind": "imagenet64",
            "subset": self.subset,
            "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()],
        }

    def provenance(self) -> Mapping[str, Any]:
        """The files; no image is converted."""
        return {
            "kind": "imagenet64",
            "files": [str(path) for path in self._files().values()],
            "subset": self.subset,
            "conversion": "none: the planes are taken as they are stored, labels less one",
        }

    def plan(self) -> PackPlan:
        """One chunk a file, all of whose labels are looked at.

        Raises:
            DataError: if an array has another shape, a label is out of range, or there are other
                numbers of images than the official ones and no subset is asked for.
        """
        splits: dict[str, int] = {}
        chunks: list[Chunk] = []
        for name, path in self._files().items():
            split = "held-out" if name == HELD_OUT else "train"
            images = _images_in(path)
            _labels_in(path, images=images)
            first = splits.get(split, 0)
            chunks.append(Chunk(images=images, payload=(split, first, path)))
            splits[split] = first + images
        official = {"train": IMAGENET64.train_images, "held-out": HELD_OUT_IMAGES}
        if splits != official and not self.subset:
            raise DataError(
                f"these are {_counts(splits)} images; ImageNet 64×64 has {_counts(official)}",
                where=", ".join(str(path.parent) for path in list(self._files().values())[:1]),
                remedy="get the missing files again, or set data.subset = true to use these",
            )
        return PackPlan(
            shape=IMAGENET64.shape, classes=IMAGENET64.classes, splits=splits, chunks=chunks
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        """One file, some images at a time."""
        split, first, path = chunk.payload
        labels_N = _labels_in(path, images=chunk.images)
        done = 0
        for data_nR in stretches(path, "data"):
            count = len(data_nR)
            yield DecodedImages(
                split=split,
                rows=np.arange(first + done, first + done + count),
                images=data_nR.reshape(count, *IMAGENET64.shape.as_tuple),
                labels=labels_N[done : done + count],
            )
            done += count


def _counts(splits: Mapping[str, int]) -> str:
    return " and ".join(f"{count:,} {name}" for name, count in splits.items())


def _images_in(path: Path) -> int:
    found = headers(path)
    data = found.get("data")
    right = (IMAGENET64.shape.values,)
    if data is None or data.dtype != np.uint8 or data.shape[1:] != right or "labels" not in found:
        arrays = ", ".join(f"{name}: {header}" for name, header in found.items()) or "no array"
        raise DataError(
            f"{path.name} should hold data: uint8 (N, {right[0]}) and labels: (N,); it holds "
            f"{arrays}",
            where=str(path),
            remedy=f"use the batches of 64×64 images; {_GET}",
        )
    return data.shape[0]


def _labels_in(path: Path, *, images: int) -> npt.NDArray[np.int64]:
    """0…999 of the file's 1…1000."""
    labels = read_whole(path, "labels")
    if labels.shape != (images,) or labels.dtype.kind not in "iu":
        raise DataError(
            f"labels should be {images} whole numbers; they are {labels.dtype} {labels.shape}",
            where=str(path),
            remedy="get the file again",
        )
    wrong = np.flatnonzero((labels < 1) | (labels > _CLASSES))
    if len(wrong):
        raise DataError(
            f"a label is {labels[wrong[0]]}, outside 1…{_CLASSES}, and so are {len(wrong) - 1} "
            "others of this file",
            where=f"{path}, row {wrong[0]}",
            remedy="use the official batches, whose labels begin at 1",
        )
    return labels.astype(np.int64) - 1
