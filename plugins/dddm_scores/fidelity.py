"""torch-fidelity (0.4.0, pinned): the one module of the scores that touches it.

Fréchet distance and Inception Score are its own functions, so that scores equal those of its
`calculate_metrics`.  They keep the precision they are given; they are given float64.
"""

from typing import Any, Final

from torch import Tensor

from dddm.support.moments import Statistics
from dddm.support.torchvision_operators import import_torchvision

SEED: Final = 2020
"""With which torch-fidelity draws subsets and shuffles, unless it is told otherwise."""


def frechet(one: Statistics, other: Statistics) -> float:
    """The Fréchet distance between two pairs of mean and covariance."""
    metric = _module("metric_fid")
    pairs = [{"mu": each.mean, "sigma": each.covariance} for each in (one, other)]
    return float(metric.fid_statistics_to_metric(*pairs, verbose=False)[metric.KEY_METRIC_FID])


def inception_score(logits: Tensor, *, splits: int) -> tuple[float, float]:
    """Inception Score of logits (N, K): mean and standard deviation over `splits` parts."""
    metric = _module("metric_isc")
    found = metric.isc_features_to_metric(logits.cpu(), splits, shuffle=True, rng_seed=SEED)
    return found[metric.KEY_METRIC_ISC_MEAN], found[metric.KEY_METRIC_ISC_STD]


def _module(name: str) -> Any:
    # Imported when it is first used: it brings torchvision along, which takes seconds.
    import_torchvision()
    from importlib import import_module

    return import_module(f"torch_fidelity.{name}")
