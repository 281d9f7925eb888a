"""Versions of packages and plugins that a result was made with, compared with those installed."""

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version

import torch

from dddm.recipe.model import ComponentConfig

_PACKAGES = ("dddm", "torch", "numpy", "torch-fidelity", "scikit-learn", "safetensors")


def versions(uses: Iterable[ComponentConfig]) -> dict[str, str]:
    """Versions of Python, of what the core stands on, and of the plugins that components are of."""
    plugins = {part.component.package: part.component.version for part in _all(uses)}
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        **plugins,
    }


def components(uses: Iterable[ComponentConfig]) -> dict[str, str]:
    """Full ids of components, each with the package and version that it is of."""
    used = (part.component for part in _all(uses))
    return {one.id: f"{one.package} {one.version}" for one in used}


def _all(uses: Iterable[ComponentConfig]) -> Iterable[ComponentConfig]:
    """The components and all that these hold."""
    return (part for use in uses for part in use.with_nested())


def changed_versions(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One phrase for each package that both name, in another version: `torch 2.6 → 2.7`."""
    return [
        f"{name} {version} → {now[name]}"
        for name, version in before.items()
        if name in now and now[name] != version
    ]


def mismatch_remedy(before: Mapping[str, str], uses: Iterable[ComponentConfig]) -> str:
    """What to do about a checkpoint that no longer fits what its recipe builds.

    Args:
        before: the versions that the checkpoint was saved with.
        uses: the components that are built now.
    """
    again = "or train again in another folder with --folder"
    changed = changed_versions(before, versions(uses))
    if changed:
        named = ", ".join(changed)
        return f"go back to the versions it was saved with (saved → here: {named}), {again}"
    return (
        "the versions are those it was saved with, so the network's or store's code has changed "
        f"since: take it back to what it was, {again}"
    )


def machine(device: torch.device) -> dict[str, str | int]:
    """Device, its name, and threads: they explain differences in the last bits.

    On a GPU also whether float32 is computed as TF32 here, outside of training.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": str(device),
        "name": name,
        "threads": torch.get_num_threads(),
        **({"tf32": torch.backends.cudnn.allow_tf32} if device.type == "cuda" else {}),
    }
