"""Reads samples back from the disk, and proves them whole.

`dddm.generate.sample_files` writes them, and says how they are laid out.  Every byte is read
once, for its checksum; the images then stay in the file and are mapped into memory as needed.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import torch

from dddm.errors import DataError
from dddm.generate.sample_files import ARRAYS, Samples, read_facts
from dddm.recipe.model import Recipe, SampleSpec
from dddm.train.run_folder import RunFolder

_NEEDED = {"sampler": str, "steps": int, "evaluations": int, "images": int}
_DAMAGE = (OSError, ValueError, EOFError, KeyError, struct.error, zipfile.BadZipFile, zlib.error)
_READ_BYTES: Final = 1 << 20
_LOCAL_HEADER: Final = struct.Struct("<26xHH")
"""Of a zip's member; its last two numbers are the bytes of name and extra field that follow."""


def planned_sample_folders(
    recipe: Recipe, folder: RunFolder
) -> list[tuple[SampleSpec, dict[int, Path]]]:
    """Where each job's samples go: `fixed-time-100`, with a number where that name is taken."""
    taken: set[str] = set()
    places = []
    for spec in recipe.sample:
        paths = {}
        for steps in spec.steps:
            name = plain = f"{spec.name}-{steps}"
            count = 1
            while name in taken:
                count += 1
                name = f"{plain}-{count}"
            taken.add(name)
            paths[steps] = folder.samples / name
        places.append((spec, paths))
    return places


def sample_folders(folder: Path) -> list[Path]:
    """Folders of finished samples under `folder`, by name; what is half written is passed over."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def load_samples(folder: Path) -> Samples:
    """The samples of one folder.

    Raises:
        DataError: if images or manifest are missing, damaged or contradict each other.
    """
    facts: Any = read_facts(folder)
    if facts is None:
        raise _damaged(folder / "manifest.json", "it is missing")
    for name, kind in _NEEDED.items():
        if not isinstance(facts, dict) or type(facts.get(name)) is not kind:
            raise _damaged(folder / "manifest.json", f"it does not say {name!r}")
    arrays = _read_arrays(folder / ARRAYS)
    images_NHWC, label_N = arrays["arr_0"], arrays.get("arr_1")
    _refuse_wrong(folder / ARRAYS, images_NHWC, label_N, images=facts["images"])
    return Samples(
        images=torch.from_numpy(images_NHWC).permute(0, 3, 1, 2),
        label=None if label_N is None else torch.from_numpy(np.array(label_N)),
        facts=facts,
    )


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _read_array(path, file, archive, info)
                for info in archive.infolist()
            }
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except _DAMAGE as error:
        raise _damaged(path, f"it cannot be read: {error}") from error
    if "arr_0" not in arrays:
        raise _damaged(path, "it holds no images (arr_0)")
    return arrays


def _read_array(
    path: Path, file: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> npt.NDArray[Any]:
    """One array, mapped where its bytes lie in the file as they are."""
    if info.compress_type != zipfile.ZIP_STORED:
        with archive.open(info) as member:
            loaded: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        return loaded
    with archive.open(info) as member:
        while member.read(_READ_BYTES):
            pass  # the checksum is compared at the end
    file.seek(info.header_offset)
    name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(name_bytes + extra_bytes, 1)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of the .npy format is not known")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which would have to be unpickled")
    if 0 in shape:
        return np.empty(shape, dtype)
    order: Any = "F" if fortran_order else "C"
    # Copied when written to, which nobody does; a map that cannot be written to makes torch warn.
    return np.memmap(path, dtype, "c", offset=file.tell(), shape=shape, order=order)


def _refuse_wrong(
    path: Path,
    images_NHWC: npt.NDArray[Any],
    label_N: npt.NDArray[Any] | None,
    *,
    images: int,
) -> None:
    if images_NHWC.dtype != np.uint8 or images_NHWC.ndim != 4:  # noqa: PLR2004 - N, H, W, C
        found = f"{images_NHWC.dtype} {images_NHWC.shape}"
        raise _damaged(path, f"its images are {found} instead of uint8 (N, H, W, C)")
    if len(images_NHWC) != images:
        raise _damaged(path, f"it holds {len(images_NHWC)} images, its manifest says {images}")
    if images < 1:
        raise _damaged(path, "it holds no image")
    if label_N is not None and (label_N.dtype != np.int64 or label_N.shape != (images,)):
        found = f"{label_N.dtype} {label_N.shape}"
        raise _damaged(path, f"its labels are {found} instead of int64 ({images},)")
    if label_N is not None and label_N.min() < 0:
        raise _damaged(path, f"it holds the label {label_N.min()}")


def _damaged(path: Path, how: str) -> DataError:
    return DataError(
        f"{path.name} of the samples {path.parent.name} is damaged: {how}",
        where=str(path),
        remedy=f"remove {path.parent} and draw the samples again: the run's `dddm run` command "
        "draws what is missing, `dddm sample` draws others",
    )
