"""CIFAR-10 (Krizhevsky 2009) from its canonical python batches.  Imports no torch.

The batches are pickles, and a pickle can run any code when it is read: a file is read only if its
MD5 is the published one, and then without running anything (`cifar10_pickle`).
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from attrs import frozen

from dddm.data.source import Chunk, DecodedImages, PackPlan, PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.support.files import is_file, read_file
from dddm_datasets.cifar10_pickle import read_values
from dddm_datasets.find_data import candidates, file_stamps, not_found
from dddm_datasets.options import CIFAR10

FOLDER: Final = "cifar-10-batches-py"
META: Final = "batches.meta"
MD5: Final = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    META: "5ff9c542aee3614f3951f8cda6e48888",
}
"""Published with the data set.  MD5 detects damage; against malice nothing is run."""

_BATCH_IMAGES: Final = 10_000
_LARGEST_BYTES: Final = 1 << 25
_DOWNLOAD: Final = (
    "the archive cifar-10-python.tar.gz is at https://www.cs.toronto.edu/~kriz/cifar.html"
)


@final
@frozen(kw_only=True)
class Cifar10Source(PackSource):
    """Five training batches, and the test batch as the split `held-out`."""

    path: str | None

    def _folder(self) -> Path | None:
        folders = candidates(self.path, names=(FOLDER,))
        return next((folder for folder in folders if is_file(folder / "data_batch_1")), None)

    def exists(self) -> bool:
        return self._folder() is not None

    def _files(self) -> dict[str, Path]:
        folder = self._folder()
        if folder is None:
            what = f"CIFAR-10 (a folder {FOLDER} with data_batch_1)"
            raise not_found(what, path=self.path, names=(FOLDER,), download=_DOWNLOAD)
        missing = [name for name in MD5 if not is_file(folder / name)]
        if missing:
            raise DataError(
                f"CIFAR-10 is incomplete: {', '.join(missing)} missing",
                where=str(folder),
                remedy=f"unpack the archive again; {_DOWNLOAD}",
            )
        return {name: folder / name for name in MD5}

    def identity(self) -> Mapping[str, Any]:
        return {"kind": "cifar10", "files": file_stamps(self._files())}

    def provenance(self) -> Mapping[str, Any]:
        return {
            "kind": "cifar10",
            "path": str(self._folder()),
            "md5": dict(MD5),
            "conversion": "none: planes are stored as they are in the batches",
        }

    def plan(self) -> PackPlan:
        """One chunk per batch."""
        files = self._files()
        names = tuple(_load(META, files[META])["label_names"])
        if names != CIFAR10.classes:
            where = str(files[META])
            raise DataError(f"the classes are {names}, not those of CIFAR-10", where=where)
        return PackPlan(
            shape=CIFAR10.shape,
            classes=CIFAR10.classes,
            splits={"train": CIFAR10.train_images, "held-out": _BATCH_IMAGES},
            chunks=[
                Chunk(images=_BATCH_IMAGES, payload=(name, path, number))
                for number, (name, path) in enumerate(files.items())
                if name != META
            ],
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        name, path, number = chunk.payload
        batch = _load(name, path)
        split = "held-out" if name == "test_batch" else "train"
        first = 0 if split == "held-out" else number * _BATCH_IMAGES
        yield DecodedImages(
            split=split,
            rows=np.arange(first, first + _BATCH_IMAGES),
            images=np.asarray(batch["data"], np.uint8).reshape(-1, *CIFAR10.shape.as_tuple),
            labels=np.asarray(batch["labels"], np.int64),
        )


def _load(name: str, path: Path) -> Any:
    try:  # once, so that the bytes that are checked are those that are used
        data = read_file(path, limit=_LARGEST_BYTES)
    except OSError as error:
        what = f"{name} cannot be read: {error.strerror}"
        raise DataError(what, where=str(path), remedy="unpack the archive again") from error
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != MD5[name]:
        raise DataError(
            f"{name} is not CIFAR-10's: its MD5 is {found}, the published one is {MD5[name]}",
            where=str(path),
            remedy="unpack the archive cifar-10-python.tar.gz again",
        )
    return read_values(data, where=str(path))
