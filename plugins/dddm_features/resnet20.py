"""The 64 pooled features of a ResNet-20 that classifies CIFAR-10.

A Fréchet distance in them needs no Inception weights, but it is not FID and compares only with
itself: the network is small and was trained on CIFAR-10's training images.
"""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Final, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import ImageShape
from dddm.support.files import sha256_of
from dddm.support.state_dict import first_mismatch, unusable_weights
from dddm_features.options import (
    CONVERT,
    RESNET20_WEIGHTS,
    WeightsOptions,
    require_shape,
    weights_path,
)
from dddm_features.precision import full_float32
from dddm_features.resnet20_network import FEATURES, ResNet20, normalise

_LAYER: Final = "mean over places of the last feature map; uint8 / 255, normalised; float32"


def read_resnet20(path: Path) -> ResNet20:
    """The network with the weights at `path`, in eval mode, without gradients.

    Raises:
        DataError: if the file cannot be read, or names or shapes are missing, surplus or wrong.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        remedy = f"make the file again: `{CONVERT}`"
        raise unusable_weights(path, f"cannot be read: {error}", remedy=remedy) from error
    return resnet20_with(found, path=path)


def resnet20_with(weights: dict[str, Tensor], *, path: Path) -> ResNet20:
    """The network with these weights, in eval mode, without gradients.

    Args:
        weights: by the names in `ResNet20`, without `num_batches_tracked`.
        path: of their file, for messages.

    Raises:
        DataError: if names, shapes or types are missing, surplus or wrong.
    """
    network = ResNet20()
    expected = {
        name: value
        for name, value in network.state_dict().items()
        if not name.endswith(".num_batches_tracked")
    }
    mismatch = first_mismatch(weights, expected, dtypes=True)
    if mismatch is not None:
        remedy = f"use weights of this network, converted by `{CONVERT}`"
        raise unusable_weights(path, f"do not fit ResNet-20: {mismatch}", remedy=remedy)
    network.load_state_dict(weights, strict=False)
    return network.eval().requires_grad_(requires_grad=False)


_BATCH_IMAGES: Final = 32
"""On a CPU: larger batches exceed its caches and take 1.5 times as long."""


@final
class ResNet20Features(Features):
    """Features (B, 64), at least 0: the network's last feature map, averaged over pixels."""

    def __init__(self, options: WeightsOptions) -> None:
        path = weights_path(options, RESNET20_WEIGHTS)
        self._sha256 = sha256_of(path)
        self._network = read_resnet20(path).folded()
        self._device = torch.device("cpu")

    @property
    def dimensions(self) -> int | None:
        return FEATURES

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self._sha256} {_LAYER}".encode()).hexdigest()

    @property
    def trained_on(self) -> str | None:
        return "cifar10"

    def check_shape(self, shape: ImageShape) -> None:
        require_shape("resnet20", shape)

    def to(self, device: torch.device) -> None:
        self._device = device
        self._network.to(device)

    def extract(self, images: Tensor) -> Tensor:
        return self.extract_with_logits(images).features

    @property
    def has_logits(self) -> bool:
        return True

    @torch.no_grad()
    def extract_with_logits(self, images: Tensor) -> Extraction:
        """Features, and logits (B, 10)."""
        each = _BATCH_IMAGES if self._device.type == "cpu" else len(images)
        feature_BD = torch.cat(
            [
                self._features(batch.to(self._device, torch.float32) / 255)
                for batch in torch.split(images, each)
            ]
        )
        with full_float32(self._device):
            logit_BK = self._network.linear(feature_BD)
        return Extraction(features=feature_BD.cpu(), logits=logit_BK.cpu())

    def embed(self, images: Tensor) -> Tensor:
        return self._features((images.to(self._device, torch.float32) + 1) / 2)

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """The output of each stage: (B, 16, 32, 32), (B, 32, 16, 16) and (B, 64, 8, 8)."""
        normal_BCHW = normalise((images.to(self._device, torch.float32) + 1) / 2)
        with full_float32(self._device):
            return self._network.maps(normal_BCHW.contiguous(memory_format=torch.channels_last))

    def _features(self, value_BCHW: Tensor) -> Tensor:
        """Features of images in [0, 1]."""
        normal_BCHW = normalise(value_BCHW)
        with full_float32(self._device):
            return self._network.features(normal_BCHW.contiguous(memory_format=torch.channels_last))
