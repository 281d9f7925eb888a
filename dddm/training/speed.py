"""How fast a device computes a recipe's network, and what training then takes."""

import time
from typing import Final

import torch

from dddm.interfaces.backbone import second_time_argument
from dddm.interfaces.info import DatasetInfo
from dddm.recipe.model import Recipe
from dddm.training.network import instantiate_backbone

_MOST_IMAGES: Final = 64
_TIMED: Final = 2
_OTHER: Final = 1.2
"""A step takes this much more than its counted operations: the optimizer, averages and reading."""


def network_speed(
    recipe: Recipe, *, facts: DatasetInfo, forward_flops: float, device: torch.device
) -> float:
    """FLOP per second of forward and backward passes of a micro-batch on `device`, in float32.

    Args:
        facts: of the training images; without classes if the network is to see none.
        forward_flops: of the network for one image.
    """
    backbone = instantiate_backbone(recipe, shape=facts.shape, classes=len(facts.classes))
    backbone.to(device).train()
    images = min(recipe.train.batch_images // (recipe.train.micro_batches or 1), _MOST_IMAGES)
    x_BCHW = torch.randn(images, *facts.shape.as_tuple, device=device)
    t_B = torch.ones(images, device=device)
    label_B = None
    if backbone.uses_labels:
        label_B = torch.zeros(images, dtype=torch.int64, device=device)
    second_time = second_time_argument(backbone, t=t_B, second_time=None)
    seconds = []
    for _ in range(1 + _TIMED):
        began = time.perf_counter()
        cache = backbone.begin(x_t=x_BCHW, t=t_B, label=label_B, **second_time)
        out = backbone.refine(cache, estimate=x_BCHW if backbone.takes_estimate else None)
        loss = out.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        loss.item()  # waits for the device
        seconds.append(time.perf_counter() - began)
    return 3 * forward_flops * images / min(seconds[1:])


def training_seconds(flops: float, *, speed: float) -> float:
    """About what training of so many FLOP takes at a `network_speed`."""
    return _OTHER * flops / speed
