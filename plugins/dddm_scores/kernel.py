"""The kernel distance (KID; Bińkowski et al. 2018): an unbiased estimate of a squared MMD.

    k(x, y) = (xy / D + 1)³
    KID     = mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y)        over x ≠ x′, y ≠ y′

averaged over subsets sampled as in torch-fidelity, so that values equal its `calculate_metrics`.
(Its own function spends most of its time in elementwise powers of float64.)  KID is unbiased: the
expectation does not depend on the number of images.

Legend: N and M features of D dimensions, S of them in a subset.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.score import Reference, Score
from dddm_scores.fidelity import SEED
from dddm_scores.options import SUBSETS, KernelOptions

_FEWEST: Final = 2


@final
class KernelDistance(Score):
    """KID of generated images to the training set; less is better."""

    def __init__(self, options: KernelOptions) -> None:
        self._subsets = options.subsets
        self._subset_images = options.subset_images

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        subset = self._subset(generated.features, reference)
        value, deviation = kernel_distance(
            generated.features, reference.train, subset=subset, subsets=self._subsets
        )
        measurement = Measurement(
            value=value,
            details={"deviation_over_subsets": deviation},
            formula={
                "kernel": "(xy/D + 1)³",
                "subsets": self._subsets,
                "subset_images": subset,
                "seed": SEED,
                "precision": "float64",
            },
        )
        return {"kid": measurement}

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        del generated
        held_out_KD = reference.held_out
        if held_out_KD is None or len(held_out_KD) < _FEWEST:
            return {}
        subset = self._subset(held_out_KD, reference)
        value, _ = reference.cached(
            (__name__, "held-out", subset, self._subsets),
            lambda: kernel_distance(
                held_out_KD, reference.train, subset=subset, subsets=self._subsets
            ),
        )
        return {"kid": (Floor(name="held-out", value=value, images=len(held_out_KD)),)}

    def _subset(self, features: Tensor, reference: Reference) -> int:
        return min(self._subset_images, len(features), len(reference.train))


def kernel_distance(
    generated: Tensor, real: Tensor, *, subset: int, subsets: int = SUBSETS
) -> tuple[float, float]:
    """KID of features (N, D) and (M, D): mean and deviation over subsets.

    Args:
        subset: S, at least 2; at most N and M.
        subsets: how many.
    """
    random = np.random.RandomState(SEED)
    found = []
    for _ in range(subsets):
        x_SD, y_SD = (
            features[torch.from_numpy(random.choice(len(features), subset, replace=False))].double()
            for features in (generated, real)
        )
        found.append(_subset_distance(x_SD, y_SD))
    return fmean(found), pstdev(found)


def _subset_distance(x_SD: Tensor, y_SD: Tensor) -> float:
    count = len(x_SD)
    within = _off_diagonal(_kernel(x_SD, x_SD)) + _off_diagonal(_kernel(y_SD, y_SD))
    between = float(_kernel(x_SD, y_SD).sum())
    return within / (count * (count - 1)) - 2 * between / count**2


def _kernel(x_SD: Tensor, y_SD: Tensor) -> Tensor:
    """K (S, S)."""
    base_SS = torch.addmm(x_SD.new_ones(()), x_SD, y_SD.T, alpha=1 / x_SD.shape[1])
    return base_SS.square().mul_(base_SS)


def _off_diagonal(kernel_SS: Tensor) -> float:
    return float(kernel_SS.sum() - kernel_SS.diagonal().sum())
