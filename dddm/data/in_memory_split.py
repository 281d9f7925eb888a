"""A split whose images are in memory, in one tensor."""

from typing import final

from attrs import frozen
from torch import Tensor

from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape
from dddm.support.manifest import manifest_of


@final
@frozen(kw_only=True)
class InMemorySplit(Split):
    """Images (N, C, H, W), uint8, and labels (N,), int64, or None."""

    all_images: Tensor
    all_labels: Tensor | None
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.all_images)

    @property
    def shape(self) -> ImageShape:
        channels, height, width = self.all_images.shape[1:]
        return ImageShape(channels=channels, height=height, width=width)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.class_names

    @property
    def manifest(self) -> str:
        return manifest_of(images=self.all_images, labels=self.all_labels)

    def images(self, index: Tensor) -> Tensor:
        return self.all_images[index]

    def labels(self, index: Tensor) -> Tensor | None:
        return None if self.all_labels is None else self.all_labels[index]
