"""Samples on disk: `samples.npz`, `grid.png`, `manifest.json`, and one PNG per image if wanted.

`samples.npz` has the layout of ADM's evaluator: `arr_0` is uint8 (N, H, W, C), `arr_1` holds the
labels, int64 (N,), where there are classes.

While an order is being generated its samples are in a hidden folder:

    .fixed-time-1.partial/
        order.json            everything that decides the images
        blocks-0.jsonl        the blocks that process 0 has finished, one a line, with checksums
        1/samples.npz         images at 1 step, each at its final place in the file
        10/samples.npz        images at 10 steps

Each process writes its blocks in place, so that an image is written once.  When all blocks are
there the archive gets its header and directory, and the folder its name.  A block counts as
finished only if its bytes match their checksum, so nothing has to be synced on the way: what a
crash or a loss of power left incomplete is generated again.

Legend: N images, C channels, H rows, W columns.
"""

import io
import json
import math
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.generate.sample import Block
from dddm.interfaces.info import ImageShape
from dddm.support.files import (
    atomic_write_text,
    open_file,
    raise_on_disk_full,
    read_file,
    sync_file,
    sync_folder,
)
from dddm.support.images import grid, picture, png_bytes
from dddm.support.json_files import (
    LIST,
    OBJECT,
    OPTIONAL,
    TEXT,
    WHOLE,
    check_object,
    read_json,
)

ARRAYS: Final = "samples.npz"
_MANIFEST: Final = "manifest.json"
_REQUIRED: Final = {"sampler": TEXT, "steps": WHOLE, "evaluations": WHOLE, "images": WHOLE}
_OPTIONAL: Final = {
    "sampler_options": OBJECT,
    "guidance": (*OBJECT, *OPTIONAL),
    "seed": WHOLE,
    "labels": (*LIST, *OPTIONAL),
    "classes": LIST,
    "weights": TEXT,
    "checkpoint": OBJECT,
    "saved": (*OBJECT, *OPTIONAL),
}
_GRID_IMAGES: Final = 100
_READ_BYTES: Final = 1 << 20
_LOCAL_HEADER: Final = struct.Struct("<26xHH")
"""Of a zip's member; its last two numbers are the bytes of name and extra field that follow."""
_DAMAGE = (OSError, ValueError, EOFError, KeyError, struct.error, zipfile.BadZipFile, zlib.error)


@final
@frozen(kw_only=True)
class Samples:
    """Finished samples of one sampler at one step count.

    Attributes:
        images: (N, C, H, W), uint8; mapped from the file, so that they take memory only when read.
        label: (N,), int64, or None.
        facts: the manifest, which has what is needed to generate them again.
    """

    images: Tensor
    label: Tensor | None
    facts: dict[str, Any]


@final
class UnfinishedSamples:
    """The samples of one order while its blocks are generated, by one process or several.

    Args:
        folder: holds finished blocks; created by `missing_blocks`.
        order: everything that decides the images, as plain values; not how many there are, so that
            an order of more images continues one of fewer.
        rank: of this process.
    """

    def __init__(
        self, folder: Path, *, order: Mapping[str, Any], shape: ImageShape, rank: int
    ) -> None:
        self._folder = folder
        self._order = json.dumps(order, indent=2, ensure_ascii=False) + "\n"
        self._shape = shape
        self._log = folder / f"blocks-{rank}.jsonl"

    def missing_blocks(self, blocks: int, *, steps: Sequence[int]) -> list[int]:
        """Numbers of the blocks still to generate at these step counts; for one process to ask.

        Blocks of another order are removed.
        """
        order = self._folder / "order.json"
        if not _holds(order, self._order):
            shutil.rmtree(self._folder, ignore_errors=True)
            atomic_write_text(order, self._order)
        with raise_on_disk_full(self._folder):
            for count in steps:
                self._archive(count).parent.mkdir(exist_ok=True)
                self._archive(count).touch()
        finished = {block["number"] for block in self._blocks() if self._is_intact(block, steps)}
        return [number for number in range(blocks) if number not in finished]

    def add(self, block: Block) -> None:
        """Write a block at its place in the archives, and then note that it is finished.

        Raises:
            EnvironmentProblem: without space or the right to write.
        """
        checksums = {}
        with raise_on_disk_full(self._folder):
            for steps, image_BCHW in block.images.items():
                contents = image_BCHW.permute(0, 2, 3, 1).contiguous().numpy().tobytes()
                checksums[steps] = zlib.crc32(contents)
                if self._archive(steps).exists():  # else its samples are finished
                    with self._archive(steps).open("r+b") as file:
                        file.seek(_images_offset(self._shape) + block.number * len(contents))
                        file.write(contents)
            text = json.dumps(
                {
                    "number": block.number,
                    "evaluations": block.evaluations,
                    "bytes": len(contents),
                    "crc32": checksums,
                    "change": {steps: change.tolist() for steps, change in block.change.items()},
                }
            )
            with self._log.open("a", encoding="utf-8") as log:
                # A killed process may have left half a line: it must not run into this one.
                log.write(f"\n{zlib.crc32(text.encode()):08x} {text}\n")

    def images(self, steps: int, *, images: int) -> Tensor:
        """The first images at a step count, (N, C, H, W), uint8, mapped from the file."""
        height, width, channels = self._shape.height, self._shape.width, self._shape.channels
        mapped: npt.NDArray[Any] = np.memmap(
            self._archive(steps),
            np.uint8,
            "c",  # torch warns of an array that cannot be written to
            offset=_images_offset(self._shape),
            shape=(images, height, width, channels),
        )
        return torch.from_numpy(mapped).permute(0, 3, 1, 2)

    def change_and_evaluations(self, blocks: int) -> tuple[dict[int, Tensor], int]:
        """How far estimates moved, (N, K) by step count, and evaluations summed over all images."""
        by_number = {block["number"]: block for block in self._blocks()}
        found = [by_number[number] for number in range(blocks)]
        change = {
            int(steps): torch.tensor([row for block in found for row in block["change"][steps]])
            for steps in found[0]["change"]
        }
        return change, sum(block["evaluations"] for block in found)

    def finish(
        self,
        steps: int,
        path: Path,
        *,
        label: Tensor | None,
        manifest: Mapping[str, Any],
        columns: int | None,
        separate: bool,
    ) -> Path:
        """Complete the samples of one step count and move them to `path`; the path of the grid.

        Args:
            label: (N,), int64, or None.
            manifest: `images` is N.
            columns: images in a row of the grid; None makes it about square.
            separate: also write every image as a PNG, named by its number.

        Raises:
            EnvironmentProblem: without space or the right to write.
        """
        count, folder = manifest["images"], self._archive(steps).parent
        with raise_on_disk_full(path):
            _complete_archive(self._archive(steps), images=count, shape=self._shape, label=label)
            image_NCHW = self.images(steps, images=count)
            sheet = grid(image_NCHW[:_GRID_IMAGES], columns=columns)
            (folder / "grid.png").write_bytes(png_bytes(sheet))
            if separate:
                (folder / "images").mkdir(exist_ok=True)
                for number, image_CHW in enumerate(image_NCHW):
                    file = folder / "images" / f"{number:06d}.png"
                    file.write_bytes(png_bytes(picture(image_CHW)))
            text = json.dumps(manifest, indent=2, ensure_ascii=False)
            (folder / _MANIFEST).write_text(text + "\n", encoding="utf-8")
            for file in folder.rglob("*"):
                if file.is_file():
                    sync_file(file)
            sync_folder(folder)
            if path.exists():
                shutil.rmtree(path)
            folder.rename(path)
            sync_folder(path.parent)
        return path / "grid.png"

    def remove(self) -> None:
        """Remove the folder, once all samples are finished."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def remove_leftover(self) -> None:
        """Remove what a kill left after all samples had been moved out of the folder."""
        if self._folder.is_dir() and not any(path.is_dir() for path in self._folder.iterdir()):
            self.remove()

    def _archive(self, steps: int) -> Path:
        return self._folder / str(steps) / ARRAYS

    def _blocks(self) -> Iterator[dict[str, Any]]:
        """Blocks that any process has noted; damaged lines are left out."""
        for log in sorted(self._folder.glob("blocks-*.jsonl")):
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
                checksum, _, text = line.partition(" ")
                if checksum == f"{zlib.crc32(text.encode()):08x}" and text:
                    yield json.loads(text)

    def _is_intact(self, block: Mapping[str, Any], steps: Sequence[int]) -> bool:
        """Whether the block's images are in the archives as they were written."""
        for count in steps:
            with self._archive(count).open("rb") as file:
                file.seek(_images_offset(self._shape) + block["number"] * block["bytes"])
                if zlib.crc32(file.read(block["bytes"])) != block["crc32"][str(count)]:
                    return False
        return True


def _holds(path: Path, text: str) -> bool:
    try:
        return read_file(path, limit=len(text.encode())).decode("utf-8") == text
    except (OSError, ValueError):
        return False


def _array_entry() -> zipfile.ZipInfo:
    """The first array of an archive: not compressed, and undated so that equal files result."""
    entry = zipfile.ZipInfo("arr_0.npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o600 << 16
    entry.CRC = entry.header_offset = 0
    return entry


def _npy_header(images: int, shape: ImageShape) -> bytes:
    """Numpy leaves room for the first dimension to grow, so the length does not depend on it."""
    header = io.BytesIO()
    dimensions = (images, shape.height, shape.width, shape.channels)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": dimensions}
    )
    return header.getvalue()


def _images_offset(shape: ImageShape) -> int:
    """Where the first image begins in `samples.npz`."""
    return len(_array_entry().FileHeader(zip64=True)) + len(_npy_header(1, shape))


def _complete_archive(path: Path, *, images: int, shape: ImageShape, label: Tensor | None) -> None:
    """Add all but the images, which are in the file already: headers, labels, zip directory."""
    entry, header = _array_entry(), _npy_header(images, shape)
    entry.file_size = entry.compress_size = len(header) + images * shape.values
    with path.open("r+b") as file:
        # The last block is whole, and archives that were completed before end in labels.
        file.truncate(_images_offset(shape) + images * shape.values)
        file.seek(_images_offset(shape) - len(header))
        file.write(header)
        checksum = zlib.crc32(header)
        while data := file.read(_READ_BYTES):
            checksum = zlib.crc32(data, checksum)
        entry.CRC = checksum
        file.seek(0)
        file.write(entry.FileHeader(zip64=True))
        file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file, "w") as archive:
            archive.filelist.append(entry)  # its bytes are there: only the directory lacks it
            if label is not None:
                labels = zipfile.ZipInfo("arr_1.npy", date_time=entry.date_time)
                with archive.open(labels, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, label.numpy(), allow_pickle=False)


def sample_folders(folder: Path) -> list[Path]:
    """Folders of finished samples under `folder`, by name."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of finished samples; None where there is none.

    Raises:
        DataError: if it cannot be read.
    """
    path = folder / _MANIFEST
    try:
        return check_object(read_json(path), {**_REQUIRED, **_OPTIONAL})
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _damaged(path, f"it cannot be read: {error}") from error


def load_samples(folder: Path) -> Samples:
    """Read the samples of one folder; every byte is compared with its checksum once.

    Raises:
        DataError: if images or manifest are missing, damaged or contradict each other.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise _damaged(folder / _MANIFEST, "it is missing")
    for name in _REQUIRED:
        if name not in manifest:
            raise _damaged(folder / _MANIFEST, f"{name!r} is missing")
    arrays = _read_arrays(folder / ARRAYS)
    images_NHWC, label_N = arrays["arr_0"], arrays.get("arr_1")
    _check_arrays(folder / ARRAYS, images_NHWC, label_N, images=manifest["images"])
    return Samples(
        images=torch.from_numpy(images_NHWC).permute(0, 3, 1, 2),
        label=None if label_N is None else torch.from_numpy(np.array(label_N)),
        facts=manifest,
    )


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _read_array(path, file, archive, info)
                for info in archive.infolist()
            }
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except _DAMAGE as error:
        raise _damaged(path, f"it cannot be read: {error}") from error
    if "arr_0" not in arrays:
        raise _damaged(path, "it has no images (arr_0)")
    return arrays


def _read_array(
    path: Path, file: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> npt.NDArray[Any]:
    """One array, mapped from the file."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed, which samples are not")
    with archive.open(info) as member:
        while member.read(_READ_BYTES):
            pass  # zipfile compares the checksum at the end
    file.seek(info.header_offset)
    name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of the .npy format is not supported")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError("it has pickled Python objects, which are not loaded")
    if min(shape, default=1) < 1 or math.prod(shape) * dtype.itemsize > info.file_size:
        raise ValueError(f"{info.filename} has {info.file_size} bytes for an array {shape}")
    order: Any = "F" if fortran_order else "C"
    # Mode "c" copies on write; torch warns of an array that cannot be written to.
    return np.memmap(path, dtype, "c", offset=file.tell(), shape=shape, order=order)


def _check_arrays(
    path: Path,
    images_NHWC: npt.NDArray[Any],
    label_N: npt.NDArray[Any] | None,
    *,
    images: int,
) -> None:
    if images_NHWC.dtype != np.uint8 or images_NHWC.ndim != 4:  # noqa: PLR2004 - N, H, W, C
        found = f"{images_NHWC.dtype} {images_NHWC.shape}"
        raise _damaged(path, f"its images are {found}, not uint8 (N, H, W, C)")
    if len(images_NHWC) != images:
        raise _damaged(path, f"it has {len(images_NHWC)} images, its manifest says {images}")
    if images < 1:
        raise _damaged(path, "it has no images")
    if label_N is not None and (label_N.dtype != np.int64 or label_N.shape != (images,)):
        found = f"{label_N.dtype} {label_N.shape}"
        raise _damaged(path, f"its labels are {found}, not int64 ({images},)")
    if label_N is not None and label_N.min() < 0:
        raise _damaged(path, f"it has the label {label_N.min()}")


def _damaged(path: Path, how: str) -> DataError:
    return DataError(
        f"{path.name} of the samples {path.parent.name} is damaged: {how}",
        where=str(path),
        remedy=f"remove {path.parent} and generate the samples again with the `dddm run` or "
        "`dddm sample` command that made them",
    )
