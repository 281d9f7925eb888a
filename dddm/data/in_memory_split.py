"""A split whose images are all in memory, in one tensor."""

from typing import final

from attrs import frozen
from torch import Tensor

from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape
from dddm.support.manifest import manifest_of


@final
@frozen(kw_only=True)
class InMemorySplit(Split):
    """Images (N, C, H, W), uint8, with labels (N,), int64, or None; read by one tensor indexing."""

    all_images: Tensor
    all_labels: Tensor | None
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.all_images)

    @property
    def shape(self) -> ImageShape:
        """The shape that all images share."""
        channels, height, width = self.all_images.shape[1:]
        return ImageShape(channels=channels, height=height, width=width)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty where there are none."""
        return self.class_names

    @property
    def manifest(self) -> str:
        """SHA-256, in hexadecimal, of shape, images and labels."""
        return manifest_of(images=self.all_images, labels=self.all_labels)

    def images(self, index: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8, CPU, for indices (B,), int64."""
        return self.all_images[index]

    def labels(self, index: Tensor) -> Tensor | None:
        """Labels (B,), int64, CPU; None where there are no classes."""
        return None if self.all_labels is None else self.all_labels[index]
