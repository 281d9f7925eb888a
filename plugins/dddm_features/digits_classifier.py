"""Features of digits: the last hidden layer of a small classifier that the package carries."""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.files import sha256_of
from dddm.support.images import from_uint8
from dddm_features import DIGITS_SHAPE
from dddm_features.digits_network import FEATURES, DigitsNetwork

WEIGHTS: Final = Path(__file__).with_name("digits.safetensors")
"""Written by `python -m dddm_features.train_digits_classifier`, whose metadata it carries."""

_LAYER: Final = "last hidden layer, 64 units after ReLU; float64 inside"


def read_weights(path: Path = WEIGHTS) -> tuple[DigitsNetwork, dict[str, Any]]:
    """The trained network in eval mode, and what its file says of it.

    Raises:
        DataError: if the file is missing or damaged.
    """
    network = DigitsNetwork()
    try:
        with safe_open(path, framework="pt") as file:
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - it is no mapping
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    except (OSError, SafetensorError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"the weights of the digits classifier cannot be read: {error}",
            where=str(path),
            remedy="reinstall the package dddm, which carries them",
        ) from error
    return network.eval().requires_grad_(requires_grad=False), facts


@final
class DigitsClassifier(Features):
    """Activations (B, 64), at least 0, of the classifier's last hidden layer.

    It stays on the CPU and computes in float64, being small: so an image has the same features
    whatever else is in the batch and whatever device the run uses.
    """

    def __init__(self, options: NoOptions) -> None:
        """Read the weights.

        Raises:
            DataError: if the file is missing or damaged.
        """
        del options
        network, self._facts = read_weights()
        self._network = network.double()

    @property
    def dimensions(self) -> int | None:
        """64."""
        return FEATURES

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the weights' file and the layer's description."""
        return hashlib.sha256(f"{sha256_of(WEIGHTS)} {_LAYER}".encode()).hexdigest()

    @property
    def trained_on(self) -> str | None:
        """`digits`: its training images are those that generated digits are compared with."""
        return str(self._facts["trained_on"])

    def check_shape(self, shape: ImageShape) -> None:
        """Refuse all but grey images of 8×8.

        Raises:
            DataError: with the shape that is accepted.
        """
        if shape != DIGITS_SHAPE:
            raise DataError(
                f'the features "digits-classifier" are made for images of {DIGITS_SHAPE} '
                f"(channels×height×width), not of {shape}",
                where="evaluate.features",
                remedy='use features = "pixels", which take any shape',
            )

    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, 64), float32, on the CPU, of images (B, 1, 8, 8), uint8."""
        return self.examine(images).features

    @property
    def guesses(self) -> bool:
        """True: among ten digits."""
        return True

    @torch.no_grad()
    def examine(self, images: Tensor) -> Extraction:
        """Features, and the logits (B, 10) that the last layer makes of them."""
        with torch.autocast("cpu", enabled=False):
            feature_BD = self._network.features(from_uint8(images.cpu()).double())
            logit_BK = self._network.head(feature_BD)
        return Extraction(features=feature_BD.float(), logits=logit_BK.float())

    def embed(self, images: Tensor) -> Tensor:
        """Vectors (B, 64), float32, on the images' device, with gradient."""
        with torch.autocast("cpu", enabled=False):
            feature_BD = self._network.features(images.cpu().double())
        return feature_BD.float().to(images.device)
