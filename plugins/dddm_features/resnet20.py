"""Features of CIFAR-10: the 64 pooled features of a ResNet-20 that tells its ten classes apart.

A Fréchet distance in them needs no Inception weights.  It is not FID, and is to be compared with
itself alone: the network is small and has seen CIFAR-10's training images.
"""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Final, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import ImageShape
from dddm.support.files import sha256_of
from dddm_features.exactly import exactly
from dddm_features.resnet20_file import resnet20_path
from dddm_features.resnet20_network import FEATURES, ResNet20, normalise
from dddm_features.resnet20_options import CONVERT, RESNET20_SHAPE, ResNet20Options

_LAYER: Final = "mean over places of the last feature map; uint8 / 255, normalised; float32"


def read_resnet20(path: Path) -> ResNet20:
    """The network with the weights at `path`, in eval mode, without gradients.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"the weights {path.name} cannot be read: {error}",
            where=str(path),
            remedy=f"make the file anew: `{CONVERT}`",
        ) from error
    return resnet20_with(found, path=path)


def resnet20_with(weights: dict[str, Tensor], *, path: Path) -> ResNet20:
    """The network with these weights, in eval mode, without gradients.

    Args:
        weights: by the names in `ResNet20`; without `num_batches_tracked`, which only training
            asks for.
        path: of the file that they are of, for messages.

    Raises:
        DataError: if names, shapes or types are missing, surplus or wrong.
    """
    network = ResNet20()
    wanted = {
        name: value
        for name, value in network.state_dict().items()
        if not name.endswith(".num_batches_tracked")
    }
    problem = _problem(weights, wanted=wanted)
    if problem is not None:
        raise DataError(
            f"the weights {path.name} do not fit ResNet-20: {problem}",
            where=str(path),
            remedy=f"use weights of this very network; `{CONVERT}` makes a file of them",
        )
    network.load_state_dict(weights, strict=False)
    return network.eval().requires_grad_(requires_grad=False)


def _problem(found: dict[str, Tensor], *, wanted: dict[str, Tensor]) -> str | None:
    """The first name or shape that is not as it should be."""
    for name, like in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].shape != like.shape:
            return f"{name} has the shape {tuple(found[name].shape)}, not {tuple(like.shape)}"
        if found[name].dtype != like.dtype:
            return f"{name} is {found[name].dtype}, not {like.dtype}"
    surplus = next((name for name in found if name not in wanted), None)
    return None if surplus is None else f"{surplus} is unexpected"


_BATCH_IMAGES: Final = 32
"""On a CPU: feature maps of more leave its caches, which takes half as long again."""


@final
class ResNet20Features(Features):
    """Features (B, 64), at least 0: the network's last feature map, averaged over places."""

    def __init__(self, options: ResNet20Options) -> None:
        """Read the weights.

        Raises:
            DataError: if the file is missing, another than it should be, or does not fit.
        """
        path = resnet20_path(options)
        self._sha256 = sha256_of(path)
        self._network = read_resnet20(path).folded()
        self._device = torch.device("cpu")

    @property
    def dimensions(self) -> int | None:
        """64."""
        return FEATURES

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the weights' file and the layer's description."""
        return hashlib.sha256(f"{self._sha256} {_LAYER}".encode()).hexdigest()

    @property
    def trained_on(self) -> str | None:
        """`cifar10`: its training images are those that generated ones are compared with."""
        return "cifar10"

    def check_shape(self, shape: ImageShape) -> None:
        """Refuse all but colour images of 32×32.

        Raises:
            DataError: with the shape that is accepted.
        """
        if shape != RESNET20_SHAPE:
            raise DataError(
                f'the features "resnet20" are made for images of {RESNET20_SHAPE} '
                f"(channels×height×width), not of {shape}",
                where="evaluate.features",
                remedy='use features = "pixels", which take any shape',
            )

    def to(self, device: torch.device) -> None:
        """Move the network to `device`."""
        self._device = device
        self._network.to(device)

    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, 64), float32, on the CPU, of images (B, 3, 32, 32), uint8, 0…255."""
        return self.examine(images).features

    @property
    def guesses(self) -> bool:
        """True: among CIFAR-10's ten classes."""
        return True

    @torch.no_grad()
    def examine(self, images: Tensor) -> Extraction:
        """Features, and the logits (B, 10) that the last layer makes of them."""
        each = _BATCH_IMAGES if self._device.type == "cpu" else len(images)
        parts = [self._features(batch) for batch in torch.split(images, each)]
        feature_BD = torch.cat(parts)
        with exactly(self._device):
            logit_BK = self._network.linear(feature_BD)
        return Extraction(features=feature_BD.cpu(), logits=logit_BK.cpu())

    def embed(self, images: Tensor) -> Tensor:
        """Vectors (B, 64), float32, on the features' device, with gradient."""
        return self._of_unit((images.to(self._device, torch.float32) + 1) / 2)

    def _features(self, image_BCHW: Tensor) -> Tensor:
        return self._of_unit(image_BCHW.to(self._device).to(torch.float32) / 255)

    def _of_unit(self, value_BCHW: Tensor) -> Tensor:
        """Of images in [0, 1]."""
        normal_BCHW = normalise(value_BCHW)
        with exactly(self._device):
            return self._network.features(normal_BCHW.contiguous(memory_format=torch.channels_last))
