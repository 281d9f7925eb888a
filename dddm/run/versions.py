"""What a result was made with, and how that differs from what is here."""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version

import torch

from dddm.recipe.model import Recipe, Use

_PACKAGES = ("dddm", "torch", "numpy", "torch-fidelity", "scikit-learn", "safetensors")


def versions(recipe: Recipe) -> dict[str, str]:
    """Versions of Python, of what the core stands on, and of the recipe's plugins."""
    plugins = {use.component.package: use.component.version for use in _uses(recipe)}
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        **plugins,
    }


def components(recipe: Recipe) -> dict[str, str]:
    """Full ids of the recipe's components, each with the package and version that it is of."""
    used = (use.component for use in _uses(recipe))
    return {one.id: f"{one.package} {one.version}" for one in used}


def _uses(recipe: Recipe) -> Iterator[Use]:
    """Every component of the recipe, with those that it holds."""
    used = [recipe.data, recipe.schedule, recipe.backbone, recipe.metric, recipe.targets]
    used += [job.sampler for job in recipe.sample]
    if recipe.evaluate is not None:
        used.append(recipe.evaluate.features)
    for use in [*used, *(recipe.observe or ())]:
        yield from use.and_parts()


def changed_versions(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One phrase for each package that both name, in another version: `torch 2.6 → 2.7`."""
    return [
        f"{name} {version} → {now[name]}"
        for name, version in before.items()
        if name in now and now[name] != version
    ]


def machine(device: torch.device) -> dict[str, str | int]:
    """What computed it: differences between machines explain differences in the last bits."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads()}
