"""Features: the vectors in which generated and real images are compared.

Legend: B images, C channels, H rows, W columns, D = features, K logits.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, final

import torch
from attrs import field, frozen
from torch import Tensor

from dddm.errors import UsageError
from dddm.interfaces.data_report import ProgressCallback
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import DatasetInfo, ImageShape

Computed = TypeVar("Computed")


@final
@frozen(kw_only=True, eq=False)
class Extraction:
    """Features of B images, on the CPU.

    Attributes:
        features: (B, D), float32.
        logits: of the network's classes, (B, K), float32; None if it has none.
        image_statistics: of the images themselves, (B, 3), as `dddm.support.image_statistics`
            computes them; dddm adds them to what `Features` return, together with the labels.
        labels: classes of the images, (B,), int64; None if they have none.
    """

    features: Tensor
    logits: Tensor | None = None
    image_statistics: Tensor | None = None
    labels: Tensor | None = None
    _computed: dict[Hashable, Any] = field(factory=dict, init=False, repr=False)

    def cached(self, key: Hashable, compute: Callable[[], Computed]) -> Computed:
        """The result of `compute`, computed once for each key and shared by all scores.

        Args:
            key: begins with the name of the computing module, and holds all that the result
                depends on: every option, and the reference if it is used.
            compute: depends only on this extraction and on `key`.
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
        """D, the length of a vector; None if it depends on the image shape."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all that determines the result: weights, layer, resizing."""

    @property
    def trained_on(self) -> str | None:
        """The data set that the features were trained on; None for untrained features."""
        return None

    def identify(self, images: Split, *, flips: bool) -> None:  # noqa: B027 - to do nothing is right
        """Tell which images are there to learn from; features that do not learn ignore them.

        From then on `trained_on` and `has_logits` are those of what `prepare` will learn, and
        `fingerprint` tells it from what is learned otherwise.  It takes no longer than to open a
        data set.

        Args:
            images: the training images of a run, or those that samples are compared with.
            flips: whether training mirrors images.

        Raises:
            DataError: if nothing can be learned from them.
        """

    def prepare(
        self, *, images: Split, flips: bool, device: torch.device, progress: ProgressCallback
    ) -> str | None:
        """Do what is needed once before the first image, such as learning; by default nothing.

        Afterwards the features are on `device`.  Keep what takes long in `dddm.support.cache`.
        Where there are several processes, the first one is called first, with the cache to itself;
        then the others, which find what it has put there.

        Args:
            images: as in `identify`.
            flips: as in `identify`.
            device: of `extract`, `embed` and `maps`.
            progress: called with the number of images done; may raise to stop the work.

        Returns:
            a sentence for the log and the user; None for nothing to say.

        Raises:
            DataError: as in `identify`.
        """
        self.identify(images, flips=flips)
        self.to(device)
        return None

    def prepare_shapes(self, images: DatasetInfo) -> float:
        """Stand in for `prepare` where operations are only counted, as for `dddm run --dry-run`.

        Called after `to`, with the meta device, whose tensors have shapes and no values.

        Args:
            images: what is known of those that `identify` would get.

        Returns:
            how many floating point operations learning takes in `prepare`, about; 0 by default.
        """
        del images
        return 0.0

    @abstractmethod
    def check_shape(self, shape: ImageShape) -> None:
        """Check that the features accept images of this shape.

        Raises:
            DataError: if not; it names the accepted shapes.
        """

    def to(self, device: torch.device) -> None:
        """Move the network, if there is one, to `device`."""
        return

    @abstractmethod
    def extract(self, images: Tensor) -> Tensor:
        """Vectors (B, D), float32, on the CPU, of images (B, C, H, W), uint8, 0…255.

        Without gradient and autocast.  An image's vector does not depend on the rest of the batch,
        and torch's global settings, such as TF32, are unchanged afterwards.
        """

    @property
    def has_logits(self) -> bool:
        """Whether `extract_with_logits` returns logits, as the Inception Score needs."""
        return False

    def extract_with_logits(self, images: Tensor) -> Extraction:
        """`extract`, and the logits of the same forward pass if there are any."""
        return Extraction(features=self.extract(images))

    def embed(self, images: Tensor) -> Tensor:
        """Vectors (B, D), float32, with gradient, for objectives that match distributions.

        For 8-bit images it equals `extract` up to rounding.  Features that override it are
        described by `FeaturesInfo(gradient=True)`.

        Args:
            images: (B, C, H, W), float32, in [-1, 1], on the features' device.

        Raises:
            UsageError: if the features have no gradient.
        """
        raise UsageError(
            f"the features {type(self).__name__} have no gradient",
            remedy="use features described by FeaturesInfo(gradient=True)",
        )

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Feature maps (B, C, h, w), float32, with gradient, from the finest to the coarsest.

        Objectives that compare sets of images compare them at places of the maps too.  By default
        there are none.

        Args:
            images: as in `embed`.
        """
        del images
        return ()
