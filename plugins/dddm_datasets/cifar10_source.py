"""CIFAR-10 (Krizhevsky 2009) from its canonical python batches.  Imports no torch.

The batches are pickles: a file is read only when its MD5 is the published one, and then by an
unpickler that can make nothing but arrays.
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
from dddm_datasets.descriptions import CIFAR10
from dddm_datasets.places import find_folder, not_found
from dddm_datasets.restricted_pickle import load_restricted

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
"""As published with the data set; MD5 tells damage, the unpickler keeps us from harm."""

_BATCH_IMAGES: Final = 10_000


@final
@frozen(kw_only=True)
class Cifar10Source(PackSource):
    """Five training batches and one of test images, which are the split `held-out`.

    Attributes:
        path: that the recipe gives.
        md5: of each file; tests make small files of their own.
    """

    path: str | None
    md5: Mapping[str, str] = MD5

    def _folder(self) -> Path | None:
        return find_folder(
            self.path, names=(FOLDER,), holds=lambda folder: (folder / "data_batch_1").is_file()
        )

    def exists(self) -> bool:
        """Whether the first batch is."""
        return self._folder() is not None

    def _files(self) -> dict[str, Path]:
        folder = self._folder()
        get = "the archive cifar-10-python.tar.gz is at https://www.cs.toronto.edu/~kriz/cifar.html"
        if folder is None:
            what = f"CIFAR-10 (a folder {FOLDER} with data_batch_1)"
            raise not_found(what, path=self.path, names=(FOLDER,), get=get)
        missing = [name for name in self.md5 if not (folder / name).is_file()]
        if missing:
            raise DataError(
                f"CIFAR-10 is not whole: {', '.join(missing)} missing",
                where=str(folder),
                remedy=f"unpack the archive again; {get}",
            )
        return {name: folder / name for name in self.md5}

    def identity(self) -> Mapping[str, Any]:
        """The files with their sizes and times of change."""
        stats = {name: path.stat() for name, path in self._files().items()}
        return {
            "kind": "cifar10",
            "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()],
        }

    def provenance(self) -> Mapping[str, Any]:
        """The files and their MD5; no image is converted."""
        return {
            "kind": "cifar10",
            "path": str(self._folder()),
            "md5": dict(self.md5),
            "conversion": "none: the planes are taken as they are stored",
        }

    def plan(self) -> PackPlan:
        """One chunk a batch.

        Raises:
            DataError: if the names of the classes are not CIFAR-10's.
        """
        files = self._files()
        path = files[META]
        names = tuple(self._load(META, path)["label_names"])
        if names != CIFAR10.classes:
            raise DataError(f"the classes are {names}, not those of CIFAR-10", where=str(path))
        batches = [name for name in files if name != META]
        return PackPlan(
            shape=CIFAR10.shape,
            classes=CIFAR10.classes,
            splits={"train": CIFAR10.train_images, "held-out": _BATCH_IMAGES},
            chunks=[
                Chunk(images=_BATCH_IMAGES, payload=(name, files[name], number))
                for number, name in enumerate(batches)
            ],
        )

    def decode(self, chunk: Chunk) -> Iterator[DecodedImages | Problem]:
        """One batch.

        Raises:
            DataError: if it is not the published file.
        """
        name, path, number = chunk.payload
        batch = self._load(name, path)
        split = "held-out" if name == "test_batch" else "train"
        first = 0 if split == "held-out" else number * _BATCH_IMAGES
        yield DecodedImages(
            split=split,
            rows=np.arange(first, first + _BATCH_IMAGES),
            images=np.asarray(batch["data"], np.uint8).reshape(-1, *CIFAR10.shape.as_tuple),
            labels=np.asarray(batch["labels"], np.int64),
        )

    def _load(self, name: str, path: Path) -> Any:
        """Read once, so that what is checked is what is used."""
        data = path.read_bytes()
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if found != self.md5[name]:
            raise DataError(
                f"{name} is not CIFAR-10's: its MD5 is {found}, the published one is "
                f"{self.md5[name]}",
                where=str(path),
                remedy="unpack the archive cifar-10-python.tar.gz again",
            )
        return load_restricted(data, where=str(path))
