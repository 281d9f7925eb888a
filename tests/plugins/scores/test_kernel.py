"""The kernel distance is torch-fidelity's, and that of its formula."""

import pytest
import torch

from dddm.support.torchvision_operators import import_torchvision
from dddm_scores.kernel import kernel_distance


def features(seed: int, count: int, dimensions: int = 7) -> torch.Tensor:
    return 2 * torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def test_kernel_distance_is_its_formula() -> None:
    """The unbiased MMD² with (xy/D + 1)³, over subsets that are the whole sets."""
    x, y = features(1, 60).double(), 1 + features(2, 60).double()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def off_diagonal(k: torch.Tensor) -> float:
        return float((k.sum() - k.diagonal().sum()) / (60 * 59))

    expected = off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y))
    expected -= 2 * float(kernel(x, y).mean())
    value, deviation = kernel_distance(x, y, subset=60)
    assert value == pytest.approx(expected, rel=1e-9)
    assert deviation == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("subset", [2, 50, 100])
def test_equals_torch_fidelity(subset: int) -> None:
    import_torchvision()
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = features(3, 120, 33).double(), 0.5 + features(4, 100, 33).double()
    theirs = kid_features_to_metric(x, y, kid_subset_size=subset, verbose=False)
    value, deviation = kernel_distance(x, y, subset=subset)
    assert value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9, abs=1e-9)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9, abs=1e-9)


def test_it_does_not_depend_on_the_count() -> None:
    """Sets of one distribution have about 0, few images as well as many."""
    few = kernel_distance(features(5, 100), features(6, 100), subset=100)[0]
    many = kernel_distance(features(7, 4000), features(8, 4000), subset=1000)[0]
    assert abs(few) < 1.0
    assert abs(many) < 0.1
