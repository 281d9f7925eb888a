"""What a result was made with."""

import platform
from importlib.metadata import version

import torch

from dddm.recipe.model import Recipe

_PACKAGES = ("dddm", "torch", "numpy", "torch-fidelity", "scikit-learn", "safetensors")


def versions(recipe: Recipe) -> dict[str, str]:
    """Versions of Python, of what the core stands on, and of the recipe's plugins."""
    used = [recipe.data, recipe.schedule, recipe.backbone, recipe.metric, recipe.targets]
    used += [job.sampler for job in recipe.sample]
    if recipe.evaluate is not None:
        used.append(recipe.evaluate.features)
    plugins = {use.component.package: use.component.version for use in used}
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        **plugins,
    }


def machine(device: torch.device) -> dict[str, str | int]:
    """What computed it: differences between machines explain differences in the last bits."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads()}
