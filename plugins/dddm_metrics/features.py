"""The metric `features`: Pseudo-LPIPS in the features of any network.

For the maps φ_l of L layers, (C, P) at P places, or one vector φ where there are no maps:

    φ̂     φ_l at each place, divided by its length over channels; a vector as it is
    L     mean over layers and places of ‖φ̂(a) − φ̂(b)‖²        of a vector: mean over its numbers
    d     √(L + c²) − c

LPIPS (Zhang et al. 2018) also weighs the channels, by what people see; no such weights are known of
other networks.  The paper's d compares images in VGG16, which was trained on ImageNet, as FID's
Inception was: so FID may be flattered (§7).  Features that were trained on other images avoid that.

Legend: B images of C channels, H rows, W columns; P places.
"""

from collections.abc import Sequence
from typing import Final, final

import torch
from torch import Tensor

from dddm.interfaces.features import Features
from dddm.interfaces.metric import Metric
from dddm_metrics.options import FeaturesOptions
from dddm_metrics.shapes import require_same_shape

_SMALLEST_SQUARE: Final = 1e-10
"""Added to a squared length, so that the gradient is finite where all channels are 0."""


@final
class InFeatures(Metric):
    """The metric `features`."""

    def __init__(self, options: FeaturesOptions) -> None:
        self._features: Features = options.features.instantiate()
        self._c = options.c

    @property
    def trained_on(self) -> str | None:
        return self._features.trained_on

    def to(self, device: torch.device) -> None:
        self._features.to(device)

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return self.distances(estimate=estimate, targets=(target,))[0]

    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One for each target, each (B,), float32; features of the estimate are computed once."""
        for target in targets:
            require_same_shape(estimate=estimate, target=target)
        seen, distances = self._seen(estimate), []
        for target in targets:
            with torch.no_grad():
                seen_of_target = self._seen(target)
            square_B = torch.stack(
                [(a - b).square().mean(dim=1) for a, b in zip(seen, seen_of_target, strict=True)]
            ).mean(dim=0)
            # Not √(L + c²) − c, which has no digits where L is far below c².
            distances.append(square_B / (torch.sqrt(square_B + self._c**2) + self._c))
        return tuple(distances)

    def _seen(self, image_BCHW: Tensor) -> list[Tensor]:
        """φ̂ of each layer, (B, N), float32, scaled so that L is the mean of squared differences."""
        image_BCHW = image_BCHW.float()
        maps = self._features.maps(image_BCHW)
        if not maps:
            return [self._features.embed(image_BCHW)]
        return [_unit(one).mul(one.shape[1] ** 0.5).flatten(1) for one in maps]


def _unit(map_BCHW: Tensor) -> Tensor:
    """Each place divided by its length over channels."""
    square_B1HW = map_BCHW.square().sum(dim=1, keepdim=True)
    return map_BCHW * torch.rsqrt(square_B1HW + _SMALLEST_SQUARE)
