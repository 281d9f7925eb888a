"""ImageNet 64×64 from its official batches (Chrabaszcz et al. 2017).  Imports no torch.

`train_data_batch_1.npz` … `train_data_batch_10.npz` and `val_data.npz` each hold `data`, (N, 12288)
uint8, the three 64×64 planes of an image one after the other, and `labels`, 1…1000.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from attrs import frozen

from dddm.data.source import Chunk, DecodedImages, PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.support.files import is_file
from dddm_datasets.find_data import candidates, file_stamps, not_found
from dddm_datasets.npz_arrays import read_blocks, read_headers, read_labels, refuse_oversized
from dddm_datasets.options import IMAGENET64

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
"""As the official archives unpack; the batches may be spread over several of them."""
_DOWNLOAD: Final = (
    "the archives Imagenet64_train_part1_npz.zip, Imagenet64_train_part2_npz.zip and "
    "Imagenet64_val_npz.zip are at https://image-net.org/download-images.php"
)
_CLASSES: Final = len(IMAGENET64.classes)


@final
@frozen(kw_only=True)
class ImageNet64Source(PackSource):
    """Ten training batches, and the validation images as the split `held-out`.

    Attributes:
        subset: whether fewer batches or images than the official ones are accepted.
    """

    path: str | None
    subset: bool

    def _found(self) -> dict[str, Path]:
        folders = candidates(self.path, names=FOLDERS)
        return {
            name: next(folder / name for folder in folders if is_file(folder / name))
            for name in (*TRAIN, HELD_OUT)
            if any(is_file(folder / name) for folder in folders)
        }

    def exists(self) -> bool:
        return any(name in TRAIN for name in self._found())

    def _files(self) -> dict[str, Path]:
        found = self._found()
        if not any(name in TRAIN for name in found):
            what = f"ImageNet 64×64 ({TRAIN[0]} … {TRAIN[-1]}, {HELD_OUT})"
            raise not_found(what, path=self.path, names=FOLDERS, download=_DOWNLOAD)
        missing = [name for name in (*TRAIN, HELD_OUT) if name not in found]
        if missing and not self.subset:
            raise DataError(
                f"ImageNet 64×64 is incomplete: {', '.join(missing)} missing",
                where=", ".join(sorted({str(path.parent) for path in found.values()})),
                remedy=f"add them, or set data.subset = true to use what is there; {_DOWNLOAD}",
            )
        return found

    def identity(self) -> Mapping[str, Any]:
        return {"kind": "imagenet64", "subset": self.subset, "files": file_stamps(self._files())}

    def provenance(self) -> Mapping[str, Any]:
        return {
            "kind": "imagenet64",
            "files": [str(path) for path in self._files().values()],
            "subset": self.subset,
            "conversion": "none: planes are stored as they are in the batches, labels minus one",
        }

    def plan(self) -> PackPlan:
        """One chunk per file; all labels are checked."""
        splits: dict[str, int] = {}
        chunks: list[Chunk] = []
        files = self._files()
        for name, path in files.items():
            split = "held-out" if name == HELD_OUT else "train"
            images = _count_images(path)
            read_labels(path, "labels", images=images, lowest=1, highest=_CLASSES)
            first = splits.get(split, 0)
            chunks.append(Chunk(images=images, payload=(split, first, path)))
            splits[split] = first + images
        official = {"train": IMAGENET64.train_images, "held-out": HELD_OUT_IMAGES}
        if splits != official and not self.subset:
            found, expected = (
                " and ".join(f"{count:,} {name}" for name, count in counts.items())
                for counts in (splits, official)
            )
            raise DataError(
                f"there are {found} images; ImageNet 64×64 has {expected}",
                where=str(files[TRAIN[0]].parent),
                remedy="get the missing files again, or set data.subset = true to use these",
            )
        return PackPlan(
            shape=IMAGENET64.shape, classes=IMAGENET64.classes, splits=splits, chunks=chunks
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        split, first, path = chunk.payload
        labels_N = read_labels(path, "labels", images=chunk.images, lowest=1, highest=_CLASSES) - 1
        done = 0
        for data_nR in read_blocks(path, "data"):
            count = len(data_nR)
            yield DecodedImages(
                split=split,
                rows=np.arange(first + done, first + done + count),
                images=data_nR.reshape(count, *IMAGENET64.shape.as_tuple),
                labels=labels_N[done : done + count],
            )
            done += count


def _count_images(path: Path) -> int:
    headers = read_headers(path)
    data = headers.get("data")
    row = (IMAGENET64.shape.values,)
    if data is None or data.dtype != np.uint8 or data.shape[1:] != row or "labels" not in headers:
        arrays = ", ".join(f"{name}: {header}" for name, header in headers.items()) or "no array"
        raise DataError(
            f"{path.name} should hold data: uint8 (N, {row[0]}) and labels: (N,); it holds "
            f"{arrays}",
            where=str(path),
            remedy=f"use the batches of 64×64 images; {_DOWNLOAD}",
        )
    refuse_oversized(data, path=path, name="data")
    return data.shape[0]
