"""Makes torchvision importable where its compiled part does not fit the installed torch.

torch-fidelity and lpips import torchvision as a whole, though what we take from them needs its
layouts of networks at most.  Where torch comes from one source and torchvision from another (torch
built for the CPU beside torchvision built for CUDA, which is what package indexes readily combine),
torchvision passes over its compiled operators and then fails on describing two of them, because
they do not exist.  Declaring their names is enough: calling them still fails, with torchvision's
own message.
"""

import importlib
from typing import Any, Final

import torch

from dddm.errors import EnvironmentProblem

_OPERATORS: Final = ("nms", "qnms")
_SIGNATURE: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[Any] = []
"""A declaration lasts as long as the object that made it."""


def import_torchvision() -> None:
    """Import torchvision, with its missing operators declared if nothing else will do.

    Raises:
        EnvironmentProblem: if torchvision still cannot be imported.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or _declared:
            raise _unusable(error) from error
        declare_missing_operators()
        import_torchvision()
    except ImportError as error:
        raise _unusable(error) from error


def declare_missing_operators() -> None:
    """Declare, without code, the operators that torchvision describes and did not load."""
    make: Any = torch.library.Library
    library = make("torchvision", "FRAGMENT")
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SIGNATURE)
    _declared.append(library)


def _unusable(error: Exception) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"torchvision, which torch-fidelity and lpips need, cannot be imported: {error}",
        where=f"torch {torch.__version__}",
        remedy="install torchvision in the release and from the source that torch came from",
    )
