"""F = a x̂ + b x_t + c + what the class adds."""

from typing import final

import torch
from torch import Tensor, nn

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from toy_components import NetworkOptions


@final
class Numbers(Backbone):
    uses_labels = True

    def __init__(self, options: NetworkOptions, *, shape: ImageShape, classes: int) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.full((3,), options.scale))
        self.of_class = nn.Embedding(classes, 1)

    def begin(self, *, x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        added: Tensor = self.of_class(label)[:, :, None, None]
        return self.numbers[1] * x_t + self.numbers[2] + added

    def refine(self, cache: Tensor, *, estimate: Tensor) -> Tensor:
        return cache + self.numbers[0] * estimate

    def select(self, cache: Tensor, *, index: Tensor) -> Tensor:
        return cache[index]
