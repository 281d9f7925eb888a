"""What a result was made with."""

import platform
from collections.abc import Iterable
from importlib.metadata import version

import torch

from dddm.recipe.model import Use

_PACKAGES = ("dddm", "torch", "numpy", "torch-fidelity", "scikit-learn", "safetensors")


def versions(uses: Iterable[Use]) -> dict[str, str]:
    """Versions of Python, of what the core stands on, and of the plugins that components are of."""
    plugins = {use.component.package: use.component.version for use in uses}
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        **plugins,
    }


def machine(device: torch.device) -> dict[str, str | int]:
    """What computed it: differences between machines explain differences in the last bits."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads()}
