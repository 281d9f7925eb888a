"""A data set whose files are packed once, when they are first needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

from dddm.errors import DataError
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.findings import Progress, silent
from dddm.support.cache import packed_folder
from dddm.support.pack_source import PackSource
from dddm.support.packed import PackedSplit, open_packed
from dddm.support.packed_format import read_manifest
from dddm.support.packing import identity_key, pack
from dddm.support.workers import usable_cores


@final
class PackedDataset(Dataset):
    """The images of a source, read from a packed folder."""

    def __init__(self, *, name: str, source: PackSource, packed: str | None) -> None:
        """Nothing is read yet.

        Args:
            name: of the data set, for the folder's name in the cache.
            source: of the images.
            packed: the folder of the packed array; None for one in the cache, whose name changes
                with the source.
        """
        self._name = name
        self._source = source
        self._packed = None if packed is None else Path(packed).expanduser().absolute()
        self._splits: Mapping[str, PackedSplit] | None = None

    def prepare(self, *, progress: Progress = silent, workers: int | None = None) -> Path:
        """Pack the images if they are not packed yet; returns the folder.

        Raises:
            DataError: if the source is missing or cannot be used, or `packed` holds other images.
            EnvironmentProblem: if there is no space or no right to write.
        """
        if self._packed is not None and self._packed.exists() and not self._source.is_there():
            return self._packed
        key = identity_key(self._source)
        folder = self._packed or packed_folder(name=self._name, key=key)
        if not folder.exists():
            pack(
                self._source,
                folder=folder,
                key=key,
                workers=workers or usable_cores(),
                progress=progress,
            )
        elif read_manifest(folder).key != key:
            raise DataError(
                "the packed images were made from other files, or with other options, than those "
                "that the recipe names",
                where=str(folder),
                remedy="remove that folder, choose another one for `packed`, or leave `packed` out",
            )
        return folder

    def splits(self) -> Mapping[str, Split]:
        """The splits; packs the images, without a word, if that was not done.

        Raises:
            DataError: if the source is missing or damaged.
        """
        if self._splits is None:
            self._splits = open_packed(self.prepare())
        return self._splits
