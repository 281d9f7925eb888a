"""Imports torchvision even if its compiled operators do not match the installed torch.

torch-fidelity and lpips import all of torchvision, although dddm needs only its network definitions
through them.  With a torchvision that was built for another torch (package indexes easily combine
a CPU build of torch with a CUDA build of torchvision), loading the compiled operators is skipped
without an error; then registering fake versions of two of them fails because they do not exist.
Declaring their names is enough; calling them still fails with torchvision's own message.
"""

import importlib
from typing import Any, Final

import torch

from dddm.errors import EnvironmentProblem

_OPERATORS: Final = ("nms", "qnms")
_SIGNATURE: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[Any] = []
"""Keeps the libraries alive: a declaration lasts as long as its library object."""


def import_torchvision() -> None:
    """Import torchvision, declaring its missing operators if necessary.

    Raises:
        EnvironmentProblem: if torchvision still cannot be imported.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        if "operator torchvision::" in str(error) and not _declared:
            make: Any = torch.library.Library
            library = make("torchvision", "FRAGMENT")
            for name in _OPERATORS:
                if not hasattr(torch.ops.torchvision, name):
                    library.define(name + _SIGNATURE)
            _declared.append(library)
            import_torchvision()
            return
        raise EnvironmentProblem(
            f"torchvision, which torch-fidelity and lpips need, cannot be imported: {error}",
            where=f"torch {torch.__version__}",
            remedy="install the torchvision that matches this torch, from the same package index",
        ) from error
