"""The kernel distance (KID; Bińkowski et al. 2018): an unbiased estimate of a squared MMD.

    k(x, y) = (xy / D + 1)³
    KID     = mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y)        over x ≠ x′, y ≠ y′

averaged over subsets that are drawn as torch-fidelity draws them, so that values equal those of its
`calculate_metrics`; its own function takes powers of float64 numbers one by one, which is most of
its time.

Legend: N and M features of D dimensions, S of them in a subset.
"""

from statistics import fmean, pstdev

import numpy as np
import torch
from torch import Tensor

from dddm.scores.fidelity import KID_SUBSETS, SEED


def kernel_distance(generated: Tensor, real: Tensor, *, subset: int) -> tuple[float, float]:
    """KID of features (N, D) and (M, D): mean and deviation over `KID_SUBSETS` subsets.

    Args:
        subset: S, at least 2; at most N and M.
    """
    lot = np.random.RandomState(SEED)
    found = []
    for _ in range(KID_SUBSETS):
        x_SD, y_SD = (
            features[torch.from_numpy(lot.choice(len(features), subset, replace=False))].double()
            for features in (generated, real)
        )
        found.append(_of_subset(x_SD, y_SD))
    return fmean(found), pstdev(found)


def _of_subset(x_SD: Tensor, y_SD: Tensor) -> float:
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
