"""The Fréchet distance between two sets of features (Heusel et al. 2017, eq. 6).

    FD = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

Legend: N images, D feature dimensions.
"""

from typing import final

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.scores import fidelity


@final
@frozen(kw_only=True, eq=False)
class Statistics:
    """Mean (D,) and covariance (D, D), with divisor N − 1, of features; float64."""

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]


def statistics_of(features: Tensor) -> Statistics:
    """Mean and covariance of features (N, D).

    Raises:
        DataError: if a feature is not finite, or there are fewer than two images.
    """
    if len(features) < 2:  # noqa: PLR2004 - a covariance takes two
        raise DataError(
            f"a Fréchet distance cannot be taken over {len(features)} image(s)",
            remedy="draw at least 2, better thousands",
        )
    bad = int((~torch.isfinite(features)).any(dim=1).sum())
    if bad:
        raise DataError(
            f"the features of {bad} of {len(features)} images are not finite",
            remedy="choose other features: these cannot judge such images",
        )
    mean, covariance = fidelity.mean_and_covariance(features)
    return Statistics(mean=mean, covariance=covariance)


def frechet_distance(one: Statistics, other: Statistics) -> float:
    """FD between two sets of features: 0 for equal ones, up to rounding, which may go below it."""
    return fidelity.frechet((one.mean, one.covariance), (other.mean, other.covariance))
