"""Perceptual metrics: `lpips` and `pseudo-lpips`.

L is LPIPS, a *squared* distance between features of a trained network (`lpips_network`), and
Pseudo-LPIPS its Pseudo-Huber (the paper, §4 and eq. 7):

    lpips                  L
    pseudo-lpips: pseudo   √(L + c²) − c, computed as L / (√(L + c²) + c), which keeps its digits
                  sqrt     √L, and L / √f below the floor f
                  plain    L

As printed, eq. 7 has −c inside the root, and is imaginary for small L.  At the paper's c = 6.9e-5,
c² = 4.8e-9 is a thousandth of the L that rounding an image to 8 bits costs: it is √L in practice.

A metric is not a module, so the model's parameters, `.train()` and checkpoints do not include the
network.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor

from dddm.interfaces.metric import Metric
from dddm_metrics.lpips_network import make_network
from dddm_metrics.options import PerceptualOptions, PseudoLpipsOptions
from dddm_metrics.shapes import require_same_shape

FLOOR = 1e-10
"""L below which the form sqrt is linear, so that its slope is at most 1e5."""


class _Perceptual(Metric, ABC):
    """L and what is computed from it.

    Raises:
        DataError: if the trunk's file is missing or wrong.
        EnvironmentProblem: if torchvision or lpips is unusable.
    """

    def __init__(self, options: PerceptualOptions) -> None:
        self.network = make_network(options)
        self._bfloat16 = options.precision == "bfloat16"

    @property
    def trained_on(self) -> str:
        return "ImageNet"

    def to(self, device: torch.device) -> None:
        # Convolutions in bfloat16 are fastest with the channels last on a GPU; in float32 they are
        # not.
        last = device.type == "cuda" and self._bfloat16
        layout = torch.channels_last if last else torch.preserve_format
        self.network.to(device, memory_format=layout)  # type: ignore[call-overload]  # not annotated

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        return self.distances(estimate=estimate, targets=(target,))[0]

    def distances(self, *, estimate: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One for each target, each (B,), float32; features of the estimate are computed once."""
        for target in targets:
            require_same_shape(estimate=estimate, target=target)
        features, distances = self.network.features(estimate), []
        for target in targets:
            with torch.no_grad():
                features_of_target = self.network.features(target)
            lpips_B = self.network.compare(features, features_of_target)
            distances.append(self._from_lpips(lpips_B))
        return tuple(distances)

    @abstractmethod
    def _from_lpips(self, lpips_B: Tensor) -> Tensor:
        """The distance that belongs to L."""


@final
class Lpips(_Perceptual):
    """The metric `lpips`."""

    def _from_lpips(self, lpips_B: Tensor) -> Tensor:
        return lpips_B


@final
class PseudoLpips(_Perceptual):
    """The metric `pseudo-lpips`."""

    def __init__(self, options: PseudoLpipsOptions) -> None:
        super().__init__(options)
        self._form = options.form
        self._c = options.c

    def _from_lpips(self, lpips_B: Tensor) -> Tensor:
        return pseudo_lpips(lpips_B, form=self._form, c=self._c)


def pseudo_lpips(lpips: Tensor, *, form: Literal["pseudo", "sqrt", "plain"], c: float) -> Tensor:
    """The chosen form of L ≥ 0, of any shape, with a finite slope everywhere."""
    if form == "plain":
        return lpips
    if form == "sqrt":
        return lpips * torch.rsqrt(lpips.clamp(min=FLOOR))
    return lpips / (torch.sqrt(lpips + c * c) + c)
