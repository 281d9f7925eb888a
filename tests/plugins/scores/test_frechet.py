"""The Fréchet distance equals its formula; test_fidelity.py compares it with torch-fidelity."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.errors import DataError
from dddm.support.moments import Statistics, statistics_of
from dddm_scores.fidelity import frechet_distance

DIMENSIONS = 5


def random_features(seed: int, *, images: int = 40, dimensions: int = DIMENSIONS) -> torch.Tensor:
    """Features whose mean and covariance depend on the seed."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dimensions, dimensions, generator=generator)
    noise = torch.randn(images, dimensions, generator=generator)
    return noise @ mix + torch.randn(dimensions, generator=generator)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), shift=st.floats(-3, 3))
def test_closed_form_where_covariances_commute(seed: int, shift: float) -> None:
    """For covariances with common axes, FD = ‖μ₁−μ₂‖² + Σ(√λ₁ − √λ₂)²."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(DIMENSIONS, DIMENSIONS, generator=generator).double())[0]
    variances = torch.rand(2, DIMENSIONS, generator=generator, dtype=torch.float64) * 4
    means = torch.randn(2, DIMENSIONS, generator=generator, dtype=torch.float64)
    means[1] += shift
    one, other = (
        Statistics(mean=m.numpy(), covariance=(axes * v @ axes.T).numpy())
        for m, v in zip(means, variances, strict=True)
    )
    expected = (means[0] - means[1]).square().sum() + (
        variances[0].sqrt() - variances[1].sqrt()
    ).square().sum()
    assert frechet_distance(one, other) == pytest.approx(float(expected), rel=1e-6, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_symmetric_never_negative_and_zero_at_equality(seed: int) -> None:
    """FD(a, b) = FD(b, a) ≥ 0, and FD(a, a) = 0, up to rounding."""
    one, other = (statistics_of(random_features(s)) for s in (seed, seed + 1))
    there = frechet_distance(one, other)
    assert there == pytest.approx(frechet_distance(other, one), rel=1e-6, abs=1e-6)
    assert there > 0
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), images=st.integers(2, 6))
def test_fewer_images_than_dimensions(seed: int, images: int) -> None:
    """Covariances that are not of full rank still give 0 at equality, and finite distances.

    A shift of every image by v gives ‖v‖² exactly, whatever the rank.
    """
    features = random_features(seed, images=images, dimensions=16).double()
    shift = torch.full((16,), 0.5, dtype=torch.float64)
    still = frechet_distance(statistics_of(features), statistics_of(features))
    moved = frechet_distance(statistics_of(features), statistics_of(features + shift))
    # The square root of rounding errors: √(1e-16 · variance²) for each dimension without variance.
    assert still == pytest.approx(0, abs=1e-4)
    assert moved == pytest.approx(16 * 0.25, abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_equals_pytorch_fid_s_formula(seed: int) -> None:
    """Pytorch-fid takes a Schur square root of Σ₁Σ₂ and the real part of its trace: the same."""
    one, other = random_features(seed), random_features(seed + 1, images=60)
    (mu_1, sigma_1), (mu_2, sigma_2) = (
        (np.mean(x, axis=0), np.cov(x, rowvar=False))
        for x in (one.double().numpy(), other.double().numpy())
    )
    root = scipy.linalg.sqrtm(sigma_1 @ sigma_2)
    expected = (
        (mu_1 - mu_2) @ (mu_1 - mu_2)
        + np.trace(sigma_1)
        + np.trace(sigma_2)
        - 2 * np.trace(np.real(root))
    )
    found = frechet_distance(statistics_of(one), statistics_of(other))
    assert found == pytest.approx(expected, rel=1e-6)


def test_constant_features() -> None:
    """Features without any variance leave only the distance between means."""
    one, other = (statistics_of(torch.full((4, 3), value)) for value in (1.0, 3.0))
    assert frechet_distance(one, other) == pytest.approx(12.0)


def test_one_dimension() -> None:
    """A single feature has a variance, not a matrix, and is scored all the same."""
    one, other = (statistics_of(torch.tensor([[0.0], [2.0]]) * scale) for scale in (1, 2))
    assert frechet_distance(one, other) == pytest.approx(1 + 2 + 8 - 2 * 4)


def test_the_divisor_and_the_precision() -> None:
    """Covariances divide by N − 1, in float64 even where features are float32."""
    features = torch.tensor([[0.0, 1.0], [1.0, 3.0], [5.0, 2.0]])
    found = statistics_of(features)
    expected = torch.cov(features.double().T, correction=1).numpy()
    assert found.covariance.dtype == found.mean.dtype == "float64"
    assert found.covariance == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_refused(value: float) -> None:
    """The error counts the images, so that nothing is scored in silence."""
    features = random_features(0)
    features[3, 1] = value
    features[7] = value
    with pytest.raises(DataError, match="features of 2 of 40 images are not finite"):
        statistics_of(features)


@pytest.mark.parametrize("images", [0, 1])
def test_too_few_images_are_refused(images: int) -> None:
    with pytest.raises(DataError, match="Fréchet"):
        statistics_of(torch.zeros(images, 3))
