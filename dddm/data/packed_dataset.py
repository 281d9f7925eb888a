"""A data set whose files are packed once, when they are first needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

from attrs import evolve

from dddm.data.examine import examine_source
from dddm.data.examine_splits import examine_splits
from dddm.data.pack_source import PackSource
from dddm.data.packed import PackedSplit, open_packed
from dddm.data.packed_format import read_manifest
from dddm.data.packing import identity_key, pack
from dddm.data.verify_packed import verify_packed
from dddm.data.workers import usable_cores
from dddm.errors import DataError
from dddm.interfaces.data_report import DataReport, ProgressCallback, no_progress
from dddm.interfaces.dataset import Dataset, Split
from dddm.support.cache import packed_folder


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

    def prepare(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> Path:
        """Pack the images if they are not packed yet; returns the folder.

        Raises:
            DataError: if the source is missing or cannot be used, or `packed` holds other images.
            EnvironmentProblem: if there is no space or no right to write.
        """
        folder, key = self._place()
        if not folder.exists():
            assert key is not None
            pack(
                self._source,
                folder=folder,
                key=key,
                workers=workers or usable_cores(),
                progress=progress,
            )
        elif key is not None and read_manifest(folder).key != key:
            raise DataError(
                "the packed images were made from other files, or with other options, than those "
                "that the recipe names",
                where=str(folder),
                remedy="remove that folder, choose another one for `packed`, or leave `packed` out",
            )
        return folder

    def _place(self) -> tuple[Path, str | None]:
        """The folder and the source's key; None where the source is absent and not needed."""
        if self._packed is not None and self._packed.exists() and not self._source.is_there():
            return self._packed, None
        key = identity_key(self._source)
        return self._packed or packed_folder(name=self._name, key=key), key

    def splits(self) -> Mapping[str, Split]:
        """The splits; packs the images, without a word, if that was not done.

        Raises:
            DataError: if the source is missing or damaged.
        """
        if self._splits is None:
            self._splits = open_packed(self.prepare())
        return self._splits

    def check(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> DataReport:
        """Decode every image of the source, and verify the packed array where there is one.

        Where the source is absent, the packed array alone is looked through.

        Raises:
            DataError: if there is nothing to look through.
        """
        folder, key = self._place()
        if key is None:
            found = examine_splits(open_packed(folder), progress=progress)
        else:
            workers = workers or usable_cores()
            found = examine_source(self._source, workers=workers, progress=progress)
        if not folder.exists():
            return evolve(found, notes=(*found.notes, "the images are not packed yet"))
        problems = verify_packed(folder, key=key, progress=progress)
        return evolve(found, problems=(*found.problems, *problems), packed=str(folder))
