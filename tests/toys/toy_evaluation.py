"""Metrics and features for tests of evaluation."""

from typing import final

import torch
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.features import Features
from dddm.interfaces.info import ImageShape
from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import NoOptions


class PlainMetric(Metric):
    def __init__(self, options: NoOptions) -> None:
        pass

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError


@final
class DigitsTrainedMetric(PlainMetric):
    @property
    def trained_on(self) -> str | None:
        return "digits"


@final
class WeightlessMetric(PlainMetric):
    def __init__(self, options: NoOptions) -> None:
        raise DataError("the weights far.pth were not found: 3 bytes")


@final
class BrokenFeatures(Features):
    """Not finite for black images; counts the images."""

    dimensions = 2
    fingerprint = "broken"
    seen = 0

    def __init__(self, options: NoOptions) -> None:
        pass

    def check_shape(self, shape: ImageShape) -> None:
        pass

    def extract(self, images: Tensor) -> Tensor:
        BrokenFeatures.seen += len(images)
        mean_B = images.float().mean(dim=(1, 2, 3))
        return torch.stack([mean_B, (mean_B - 1).sqrt()], dim=1)
