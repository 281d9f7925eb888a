"""torch-fidelity (0.4.0, pinned): the one module of the core that touches it.

Mean, covariance, Fréchet distance and Inception Score are its own functions with its own defaults,
so that scores equal those of its `calculate_metrics`.  They keep the precision they are given; they
are given float64.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dddm.scores.kinds import IS_SPLITS
from dddm.support.torchvision_operators import import_torchvision

KID_SUBSETS: Final = 100
SEED: Final = 2020
"""With which torch-fidelity draws subsets and shuffles, unless it is told otherwise."""


def mean_and_covariance(
    features: Tensor,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean (D,) and covariance (D, D), with divisor N − 1, of features (N, D); float64."""
    found = _module("metric_fid").fid_features_to_statistics(features.double().cpu())
    # numpy returns a bare number as the covariance of one dimension.
    return found["mu"], np.atleast_2d(found["sigma"])


def frechet(
    one: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    other: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
) -> float:
    """The Fréchet distance between two pairs of mean and covariance."""
    metric = _module("metric_fid")
    pairs = [{"mu": mean, "sigma": covariance} for mean, covariance in (one, other)]
    return float(metric.fid_statistics_to_metric(*pairs, verbose=False)[metric.KEY_METRIC_FID])


def inception_score(logits: Tensor) -> tuple[float, float]:
    """Inception Score of logits (N, K): mean and standard deviation over `IS_SPLITS` splits."""
    metric = _module("metric_isc")
    found = metric.isc_features_to_metric(logits.cpu(), IS_SPLITS, shuffle=True, rng_seed=SEED)
    return found[metric.KEY_METRIC_ISC_MEAN], found[metric.KEY_METRIC_ISC_STD]


def _module(name: str) -> Any:
    # Imported when it is first used: it brings torchvision along, which takes seconds.
    import_torchvision()
    from importlib import import_module

    return import_module(f"torch_fidelity.{name}")
