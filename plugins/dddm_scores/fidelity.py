"""The functions of torch-fidelity (0.4.0, pinned) by which scores equal its `calculate_metrics`.

They compute in the precision of their arguments, so they get float64.
"""

from importlib import import_module
from typing import Any, Final

from torch import Tensor

from dddm.support.moments import Statistics
from dddm.support.torchvision_operators import import_torchvision

SEED: Final = 2020
"""torch-fidelity's default for subsets and shuffling."""


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """FD between two sets of features; for equal sets 0 up to rounding, possibly below 0."""
    metric = _module("metric_fid")
    pairs = [{"mu": each.mean, "sigma": each.covariance} for each in (first, second)]
    return float(metric.fid_statistics_to_metric(*pairs, verbose=False)[metric.KEY_METRIC_FID])


def inception_score(logits: Tensor, *, splits: int) -> tuple[float, float]:
    """Inception Score of logits (N, K): mean and standard deviation over `splits` parts."""
    metric = _module("metric_isc")
    found = metric.isc_features_to_metric(logits.cpu(), splits, shuffle=True, rng_seed=SEED)
    return found[metric.KEY_METRIC_ISC_MEAN], found[metric.KEY_METRIC_ISC_STD]


def _module(name: str) -> Any:
    # Importing torchvision takes seconds, so only a score that needs it pays for it.
    import_torchvision()
    return import_module(f"torch_fidelity.{name}")
