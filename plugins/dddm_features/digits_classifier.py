"""Features of digits: the last hidden layer of a small classifier, whose weights are included.

Legend: B images, one channel, 8 rows and columns; D = 64 features.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dddm.errors import DataError
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.files import sha256_of
from dddm.support.images import from_uint8
from dddm_features.options import require_shape

WEIGHTS: Final = Path(__file__).with_name("digits.safetensors")
"""Written by `python -m dddm_features.train_digits_classifier`, with its metadata."""

FEATURES: Final = 64
CLASSES: Final = 10
_FINE: Final = 4
_COARSE: Final = 7
"""Layers of the trunk up to which the second and the third convolution are done."""
_LAYER: Final = "last hidden layer, 64 units after ReLU; float64 inside"


@final
class DigitsNetwork(nn.Module):
    """Three convolutions, then a hidden layer of 64 units, then ten classes; 47,530 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, CLASSES)

    def maps(self, image_B1HW: Tensor) -> tuple[Tensor, Tensor]:
        """Of the second and third convolution: (B, 32, 8, 8) and (B, 32, 4, 4)."""
        fine_BCHW = self.trunk[:_FINE](image_B1HW)
        return fine_BCHW, self.trunk[_FINE:_COARSE](fine_BCHW)

    def features(self, image_B1HW: Tensor) -> Tensor:
        """Activations (B, 64), at least 0, of images (B, 1, 8, 8) in [-1, 1]."""
        activation_BD: Tensor = self.trunk(image_B1HW)
        return activation_BD

    def forward(self, image_B1HW: Tensor) -> Tensor:
        """Logits (B, 10) of images (B, 1, 8, 8) in [-1, 1]."""
        logit_BK: Tensor = self.head(self.features(image_B1HW))
        return logit_BK


def read_weights(path: Path = WEIGHTS) -> tuple[DigitsNetwork, dict[str, Any]]:
    """The trained network in eval mode, and the metadata of its file.

    Raises:
        DataError: if the file is missing or damaged.
    """
    network = DigitsNetwork()
    try:
        with safe_open(path, framework="pt") as file:
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - it is no mapping
            metadata: dict[str, Any] = json.loads(file.metadata()["facts"])
    except (OSError, SafetensorError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"the weights of the digits classifier cannot be read: {error}",
            where=str(path),
            remedy="reinstall the package dddm, which includes them",
        ) from error
    return network.eval().requires_grad_(requires_grad=False), metadata


@final
class DigitsClassifier(Features):
    """Activations (B, 64), at least 0, of the classifier's last hidden layer.

    It is small, so it stays on the CPU and computes in float64: an image has the same features
    whatever the batch and the device of the run.
    """

    def __init__(self, options: NoOptions) -> None:
        del options
        network, self._metadata = read_weights()
        self._network = network.double()

    @property
    def dimensions(self) -> int | None:
        return FEATURES

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{sha256_of(WEIGHTS)} {_LAYER}".encode()).hexdigest()

    @property
    def trained_on(self) -> str | None:
        return str(self._metadata["trained_on"])

    def check_shape(self, shape: ImageShape) -> None:
        require_shape("digits-classifier", shape)

    def extract(self, images: Tensor) -> Tensor:
        return self.extract_with_logits(images).features

    @property
    def has_logits(self) -> bool:
        return True

    @torch.no_grad()
    def extract_with_logits(self, images: Tensor) -> Extraction:
        """Features, and the logits (B, 10) that the last layer makes of them."""
        with torch.autocast("cpu", enabled=False):
            feature_BD = self._network.features(from_uint8(images.cpu()).double())
            logit_BK = self._network.head(feature_BD)
        return Extraction(features=feature_BD.float(), logits=logit_BK.float())

    def embed(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            feature_BD = self._network.features(images.cpu().double())
        return feature_BD.float().to(images.device)

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Of the second and third convolution: (B, 32, 8, 8) and (B, 32, 4, 4)."""
        with torch.autocast("cpu", enabled=False):
            found = self._network.maps(images.cpu().double())
        return tuple(one.float().to(images.device) for one in found)
