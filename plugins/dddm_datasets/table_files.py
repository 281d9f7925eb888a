"""Images in parquet and arrow files, as Hugging Face's `datasets` writes them.  Imports no torch.

A row has an image, encoded, as bytes or as a struct of bytes and path, and perhaps a label: a
number, whose name the schema may know, or text.  Paths are not followed.  What a file claims of its
sizes is not believed: reading is limited in the memory that it may take.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from attrs import field, frozen

from dddm.errors import DataError, EnvironmentProblem
from dddm.support.files import path_exists
from dddm_datasets.image_decode import ImageError
from dddm_datasets.image_files import LARGEST_BYTES, ImageFiles, Listing
from dddm_datasets.image_layout import HELD_OUT_FOLDERS
from dddm_datasets.limited_memory import limited_memory
from dddm_datasets.shards import MOST_ROWS, Shard, class_name, find_shards, in_order

_MOST_MEMORY: Final = 1 << 31
_ROWS_AT_ONCE: Final = 16
_LABELS_AT_ONCE: Final = 1 << 16
_IPC_FILE: Final = b"ARROW1"


@frozen(kw_only=True)
class TableFiles(ImageFiles, ABC):
    """Tables of images; a name holds split, class, number of the shard, and row.

    Attributes:
        found: the files, once they were looked for; also known to the processes that read.
    """

    image: str
    label: str | None
    found: list[Shard] = field(factory=list, eq=False)

    @abstractmethod
    def find(self) -> Sequence[Shard]:
        """The files, in order."""

    def shards(self) -> Sequence[Shard]:
        if not self.found:
            self.found.extend(self.find())
        return self.found

    def listing(self) -> Listing:
        """List the rows of all files.

        Raises:
            DataError: if a file is damaged, has no such column, or a row has no label.
            EnvironmentProblem: if pyarrow is not installed.
        """
        names: list[str] = []
        known: dict[str, None] = {}  # an ordered set
        used: set[str] = set()
        for number, shard in enumerate(self.shards()):
            table = _open(shard, image=self.image)
            if len(names) + table.rows > MOST_ROWS:
                what = f"there are more than {MOST_ROWS:,} images"
                raise DataError(what, where=str(shard.path), remedy="use fewer files")
            if self.label is None:
                names += (f"{shard.split}{number}:{row}" for row in range(table.rows))
                continue
            of_label = table.names(self.label)
            known.update(dict.fromkeys(of_label))
            for row, label in enumerate(table.labels(self.label)):
                where = f"{shard.path}, row {row}"
                name = _class(label, names=of_label, where=where)
                used.add(name)
                names.append(f"{shard.split}{name}/{number}:{row}")
        return Listing(names=tuple(names), classes=tuple(known) or in_order(used))

    def read(self, name: str) -> bytes:
        shard, row = self._place(name)
        data: bytes = _open(shard, image=self.image).image(row)
        return data

    def location(self, name: str) -> str:
        shard, row = self._place(name)
        return f"{shard.path}, row {row}"

    def _place(self, name: str) -> tuple[Shard, int]:
        number, _, row = name.rpartition("/")[2].partition(":")
        return self.shards()[int(number)], int(row)


@final
@frozen(kw_only=True)
class LocalTables(TableFiles):
    """A file, or a folder of files."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return path_exists(self.path)

    def identity(self) -> Mapping[str, Any]:
        stamps = [[shard.path.name, *shard.stamp] for shard in self.shards()]
        return {"shards": stamps, "image": self.image, "label": self.label}

    def find(self) -> Sequence[Shard]:
        kind = "parquet or arrow file"
        return find_shards(self.path, suffixes=[".parquet", ".arrow"], kind=kind)


@final
@frozen(kw_only=True)
class HubTables(TableFiles):
    """A data set of the Hub, which `datasets` downloads once and keeps as arrow files."""

    name: str
    subset: str | None
    revision: str | None

    @property
    def where(self) -> str:
        return self.name

    def exists(self) -> bool:
        return True

    def identity(self) -> Mapping[str, Any]:
        """Without a look at the Hub."""
        of_hub = {"name": self.name, "subset": self.subset, "revision": self.revision}
        return {**of_hub, "image": self.image, "label": self.label}

    def find(self) -> Sequence[Shard]:
        """Download, if it was not done.

        Raises:
            DataError: if it cannot be had, or it has no split to train on.
            EnvironmentProblem: if datasets is not installed.
        """
        with _needs("hugging-face"):
            import datasets
        try:
            splits = datasets.load_dataset(self.name, self.subset, revision=self.revision)
        except Exception as error:  # of the network, the Hub, and every format
            raise DataError(
                f"this data set cannot be loaded: {error}",
                where=self.name,
                remedy="correct data.name, data.subset or data.revision; `hf auth login` gives "
                "access to data sets that are not public",
            ) from error
        if "train" not in splits and len(splits) > 1:
            raise DataError(
                f"none of its splits is called train: {', '.join(splits)}",
                where=self.name,
                remedy='save the one that is meant by Dataset.to_parquet, and set use = "parquet"',
            )
        return [
            Shard(path=Path(file["filename"]), split="" if len(splits) == 1 else f"{name}/")
            for name, rows in splits.items()
            if name in {"train", *HELD_OUT_FOLDERS} or len(splits) == 1
            for file in rows.cache_files
        ]


def _class(label: object, *, names: Sequence[str], where: str) -> str:
    if isinstance(label, int) and 0 <= label < len(names):
        label = names[label]
    if not isinstance(label, str | int) or (isinstance(label, int) and label < 0):
        raise DataError(
            f"this row has no label: {label!r:.40}",
            where=where,
            remedy='correct it, or set data.classes = "none"',
        )
    return class_name(label, where=where)


@contextmanager
def _needs(extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise EnvironmentProblem(
            f"this data set cannot be read: {error}",
            where="[data]",
            remedy=f"pip install 'dddm[{extra}]'",
        ) from error


@contextmanager
def _reading(path: Path, *, mapped: int = 0) -> Iterator[None]:
    """Limit the memory, and turn whatever pyarrow raises into an `ImageError`."""
    try:
        with limited_memory(_MOST_MEMORY + mapped):
            yield
    except ImageError:
        raise
    except MemoryError as error:
        what = f"reading it takes more than {_MOST_MEMORY >> 30} GiB of memory"
        raise ImageError(what) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ImageError(f"{path.name} is damaged: {error}") from error


class _Table(ABC):
    """One open file."""

    def __init__(self, path: Path, schema: Any, *, image: str, rows: int) -> None:
        self.path = path
        self.rows = rows
        self._metadata = schema.metadata or {}
        self._columns = list(schema.names)
        self._require(image, option="image")

    def _require(self, column: str, *, option: str) -> None:
        if self._columns.count(column) != 1:
            none = ', or data.classes = "none"' if option == "label" else ""
            raise DataError(
                f"it has no column {column!r}; it has {', '.join(map(repr, self._columns[:20]))}",
                where=str(self.path),
                remedy=f"set data.{option} to the name of a column{none}",
            )

    def names(self, label: str) -> Sequence[str]:
        """Names of the labels' numbers, as `datasets` notes them; empty where it does not."""
        try:
            noted = json.loads(self._metadata[b"huggingface"])
            names = noted["info"]["features"][label]["names"]
        except (KeyError, TypeError, ValueError, RecursionError):
            return ()
        return [class_name(name, where=str(self.path)) for name in names]

    def labels(self, label: str) -> Sequence[object]:
        """The label of each row."""
        self._require(label, option="label")
        try:
            with _reading(self.path):
                return list(self._labels(label))
        except ImageError as error:
            raise _damaged(self.path, error) from error

    def image(self, row: int) -> bytes:
        """The image of a row, encoded."""
        with _reading(self.path):
            value = self._image(row)
            size = 0 if value is None else len(value.as_buffer() or b"")
            if not size:
                raise ImageError("it has no bytes; a path alone is not followed")
            if size > LARGEST_BYTES:
                raise ImageError(f"it has {size:,} bytes, and {LARGEST_BYTES:,} are the limit")
            data: bytes = value.as_py()
            return data

    @abstractmethod
    def _labels(self, label: str) -> Iterator[object]: ...

    @abstractmethod
    def _image(self, row: int) -> Any: ...


def _encoded(images: Any) -> Any:
    """The bytes of an array of images, checked: offsets may point anywhere."""
    import pyarrow as pa

    if pa.types.is_struct(images.type):
        images = images.field("bytes")
    if not (pa.types.is_binary(images.type) or pa.types.is_large_binary(images.type)):
        raise ImageError(f"the column of images holds {images.type}, not bytes")
    images.validate(full=True)
    return images


@final
class _Parquet(_Table):
    """Rows are read in order, a few at a time; an earlier row begins its row group again."""

    def __init__(self, path: Path, *, image: str) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        metadata = self._file.metadata
        super().__init__(path, self._file.schema_arrow, image=image, rows=metadata.num_rows)
        groups = range(metadata.num_row_groups)
        self._ends = list(accumulate(metadata.row_group(k).num_rows for k in groups))
        struct = self._file.schema_arrow.field(image).type.num_fields > 0
        self._column = f"{image}.bytes" if struct else image
        self._batches: Iterator[Any] = iter(())
        self._first, self._images = 0, ()  # of the batch

    def _labels(self, label: str) -> Iterator[object]:
        for batch in self._file.iter_batches(_LABELS_AT_ONCE, columns=[label], use_threads=False):
            yield from batch.column(0).to_pylist()

    def _image(self, row: int) -> Any:
        group = int(np.searchsorted(self._ends, row, side="right"))
        begins = self._ends[group - 1] if group else 0
        if not max(self._first, begins) <= row:
            self._images = ()
        if not self._images or self._first < begins:
            self._batches = self._file.iter_batches(
                _ROWS_AT_ONCE, row_groups=[group], columns=[self._column], use_threads=False
            )
            self._first, self._images = begins, ()
        while row >= self._first + len(self._images):
            self._first += len(self._images)
            self._images = _encoded(next(self._batches).column(0))
        return self._images[row - self._first]


@final
class _Arrow(_Table):
    """A mapped file, of the format of streams or of files."""

    def __init__(self, path: Path, *, image: str) -> None:
        import pyarrow as pa

        mapped = pa.memory_map(str(path))
        is_file = mapped.read(len(_IPC_FILE)) == _IPC_FILE
        mapped.seek(0)
        table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(mapped).read_all()
        super().__init__(path, table.schema, image=image, rows=table.num_rows)
        self._table = table
        self._chunks = [_encoded(chunk) for chunk in table.column(image).chunks]
        self._ends = list(accumulate(map(len, self._chunks)))

    def _labels(self, label: str) -> Iterator[object]:
        column = self._table.column(label)
        column.validate(full=True)
        for chunk in column.chunks:
            for first in range(0, len(chunk), _LABELS_AT_ONCE):
                yield from chunk[first : first + _LABELS_AT_ONCE].to_pylist()

    def _image(self, row: int) -> Any:
        chunk = int(np.searchsorted(self._ends, row, side="right"))
        return self._chunks[chunk][row - (self._ends[chunk - 1] if chunk else 0)]


@lru_cache(maxsize=4)
def _open(shard: Shard, *, image: str) -> _Table:
    with _needs("parquet"):
        import pyarrow  # noqa: F401, ICN001 - a file that is damaged is another error
    kind = _Arrow if shard.path.suffix.lower() == ".arrow" else _Parquet
    try:
        with _reading(shard.path, mapped=shard.path.stat().st_size):
            return kind(shard.path, image=image)
    except ImageError as error:
        if isinstance(error.__cause__, DataError):
            raise error.__cause__ from error
        raise _damaged(shard.path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(str(error), where=str(path), remedy="get or make it again")
