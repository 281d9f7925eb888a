"""Ramps: 4×4 grey images that grow brighter from left to right, from dark or from half way up."""

from collections.abc import Mapping
from typing import final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.info import ImageShape
from dddm.support.manifest import manifest_of
from toy_components import CLASSES, HELD_OUT_IMAGES, SHAPE, TRAIN_IMAGES


@final
@frozen(kw_only=True)
class RampSplit(Split):
    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    @property
    def shape(self) -> ImageShape:
        return SHAPE

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    @property
    def manifest(self) -> str:
        index = torch.arange(self.count)
        return manifest_of(images=self.images(index), labels=self.labels(index))

    def images(self, index: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        steepness_N111 = torch.randint(5, 40, (self.count, 1, 1, 1), generator=generator)
        ramp_BCHW = steepness_N111[index] * torch.arange(4).expand(len(index), 1, 4, 4)
        return (ramp_BCHW + 127 * self.labels(index)[:, None, None, None]).to(torch.uint8)

    def labels(self, index: Tensor) -> Tensor:
        return index % 2


@final
class Ramps(Dataset):
    def __init__(self, options: object) -> None:
        pass

    def splits(self) -> Mapping[str, Split]:
        return {
            "train": RampSplit(count=TRAIN_IMAGES, seed=0),
            "held-out": RampSplit(count=HELD_OUT_IMAGES, seed=1),
        }
