"""A trunk's weights from a verified file, under the names that lpips has for them.

torchvision numbers a network's layers, `features.5.weight`; lpips cuts the same layers into slices
and keeps the numbers, `slice2.5.weight`.
"""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dddm.errors import DataError
from dddm.support.weights import find_weights, verify_hash
from dddm_metrics.lpips_options import TRUNKS, PerceptualOptions


def trunk_path(options: PerceptualOptions) -> Path:
    """The verified file of the trunk: the user's own, or the one that torchvision ships.

    Raises:
        DataError: if it is not there, or is another file than it should be.
    """
    if options.trunk_file is None:
        return find_weights(TRUNKS[options.net])
    path = Path(options.trunk_file).expanduser()
    if not path.is_file():
        raise DataError(
            f"there is no file {options.trunk_file}",
            where=str(path.absolute()),
            remedy="correct trunk_file, or leave it and trunk_sha256 out",
        )
    assert options.trunk_sha256 is not None, "the check lets neither stand alone"
    verify_hash(path, sha256=options.trunk_sha256, remedy="correct trunk_sha256 or trunk_file")
    return path


def load_trunk(path: Path, *, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights at `path`, float32, under the names and with the shapes of `like`.

    Args:
        path: of a file that torchvision's network was saved in; its classifier is left out.
        like: lpips's state, such as `slice2.5.weight`; only its names and shapes are read.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    found = {
        name: value for name, value in _read(path).items() if not name.startswith("classifier.")
    }
    wanted = {_name_in_file(name): name for name in like}
    for problem in _problems(found, {name: like[ours] for name, ours in wanted.items()}):
        raise DataError(
            f"the weights {path.name} do not fit the trunk: {problem}",
            where=str(path),
            remedy="use a file of this very network, saved as torchvision saves it",
        )
    return {ours: found[name].to(torch.float32) for name, ours in wanted.items()}


def _read(path: Path) -> Mapping[str, Tensor]:
    """Tensors by name; no other object that a file may hold is made."""
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise _unreadable(path)
    return state


def _unreadable(path: Path) -> DataError:
    return DataError(
        f"{path.name} is not a file of named tensors, saved by torch",
        where=str(path),
        remedy="save the network's state_dict() with torch.save",
    )


def _name_in_file(name: str) -> str:
    """`slice2.5.weight` → `features.5.weight`."""
    return "features." + name.partition(".")[2]


def _problems(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Iterable[str]:
    yield from (f"{name} is missing" for name in wanted if name not in found)
    yield from (f"{name} is unexpected" for name in found if name not in wanted)
    for name, like in wanted.items():
        if found[name].shape != like.shape:
            yield (f"{name} has the shape {tuple(found[name].shape)}, not {tuple(like.shape)}")
