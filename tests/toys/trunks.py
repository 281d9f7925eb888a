"""Trunks for LPIPS with random weights, saved as torchvision saves its networks."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dddm.support.torchvision_operators import import_torchvision

MODELS = {"vgg": "vgg16", "alex": "alexnet", "squeeze": "squeezenet1_1"}


def trunk_state(net: str, *, seed: int = 0) -> dict[str, Tensor]:
    """`features.*` of torchvision's network: He's initialisation, so that features keep their size.

    The biases are not zero, so that a test sees where they go.
    """
    import_torchvision()
    import torchvision

    generator = torch.Generator().manual_seed(seed)
    with warnings.catch_warnings(), torch.device("meta"):
        model = getattr(torchvision.models, MODELS[net])()
    return {
        f"features.{name}": _drawn(value.shape, generator=generator)
        for name, value in model.features.state_dict().items()
    }


def _drawn(shape: torch.Size, *, generator: torch.Generator) -> Tensor:
    spread = 0.1 if len(shape) == 1 else (2 / shape[1:].numel()) ** 0.5
    return torch.randn(shape, generator=generator) * spread


def save_trunk(folder: Path, net: str, *, seed: int = 0) -> dict[str, Any]:
    """Save a random trunk in `folder`; the options that name it."""
    path = folder / f"{net}-{seed}.pth"
    torch.save(trunk_state(net, seed=seed), path)
    return options_of(path, net)


def options_of(path: Path, net: str) -> dict[str, Any]:
    """The options that name the trunk at `path`, with its hash as it is now."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"net": net, "trunk_file": str(path), "trunk_sha256": digest}
