"""The space in which generated and real images are compared."""

from abc import ABC, abstractmethod
from typing import final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.facts import ImageShape


@final
@frozen(kw_only=True, eq=False)
class Extraction:
    """What one pass over B images gives, on the CPU.

    Attributes:
        features: (B, D), float32.
        logits: of the classes that the features' network knows, (B, K), float32; None where the
            features guess no class.
    """

    features: Tensor
    logits: Tensor | None = None


class Features(ABC):
    """Maps uint8 images to vectors.  A target of kind `features` is called as `target(options)`."""

    @property
    @abstractmethod
    def dimensions(self) -> int | None:
        """D, the length of a vector; None where it follows from the image shape."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all that decides the result: weights, layer, resizing."""

    @property
    def trained_on(self) -> str | None:
        """The data that the features were trained on; None where they were not trained."""
        return None

    @abstractmethod
    def check_shape(self, shape: ImageShape) -> None:
        """Refuse images that these features are not made for.

        Raises:
            DataError: with the shapes that are accepted.
        """

    def to(self, device: torch.device) -> None:
        """Move whatever the features hold to `device`.  Without a network there is nothing."""
        return

    @abstractmethod
    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, D), float32, on the CPU, of images (B, C, H, W), uint8, 0…255.

        No gradient, no autocast, the same for an image whatever else is in the batch.  None of
        torch's settings, such as TF32, is another afterwards.
        """

    @property
    def guesses(self) -> bool:
        """Whether `examine` gives logits, from which an Inception Score is computed."""
        return False

    def examine(self, images: Tensor) -> Extraction:
        """All that scores need of images (B, C, H, W), uint8, 0…255, from one pass."""
        return Extraction(features=self.extract(images))
