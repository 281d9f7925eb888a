"""Reads samples back from the disk, and proves them whole.

`dddm.run.sample_files` writes them, and says how they are laid out.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from dddm.errors import DataError
from dddm.run.sample_files import Samples, read_facts

ARRAYS: Final = "samples.npz"

_NEEDED = {"sampler": str, "steps": int, "images": int}
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


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
        images=torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).contiguous(),
        label=None if label_N is None else torch.from_numpy(label_N),
        facts=facts,
    )


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        # Opened here, because numpy leaves open what it finds to be cut short.
        with path.open("rb") as file:
            stored: Any = np.load(file, allow_pickle=False)
            names = stored.files if isinstance(stored, np.lib.npyio.NpzFile) else []
            arrays = {name: stored[name] for name in names}
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except _DAMAGE as error:
        raise _damaged(path, f"it cannot be read: {error}") from error
    if "arr_0" not in arrays:
        raise _damaged(path, "it holds no images (arr_0)")
    return arrays


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
