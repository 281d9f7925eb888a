"""The space in which generated and real images are compared.

Legend: B images, C channels, H rows, W columns, D = features, K logits.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, final

import torch
from attrs import field, frozen
from torch import Tensor

from dddm.errors import UsageError
from dddm.interfaces.info import ImageShape

Computed = TypeVar("Computed")


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
    _computed: dict[Hashable, Any] = field(factory=dict, init=False, repr=False)

    def once(self, key: Hashable, compute: Callable[[], Computed]) -> Computed:
        """What `compute` gives, computed for the first that asks: scores share what they need.

        Args:
            key: what it is, with every option that it depends on, and the reference where it
                depends on that; beginning with the name of the module that computes it.
            compute: from this extraction and what is in `key` alone.
        """
        if key not in self._computed:
            self._computed[key] = compute()
        found: Computed = self._computed[key]
        return found


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

    def embed(self, images: Tensor) -> Tensor:
        """Vectors (B, D), float32, with gradient, for losses that compare distributions.

        Those of images that are whole numbers of 0…255 are what `extract` gives for these, to
        rounding.  The facts of features that have it say `FeaturesInfo(gradient=True)`.

        Args:
            images: (B, C, H, W), float32, in [-1, 1], on the features' device.

        Raises:
            UsageError: if these features have no gradient.
        """
        raise UsageError(
            f"the features {type(self).__name__} have no gradient",
            remedy="use features that have one: their facts say FeaturesInfo(gradient=True)",
        )
