"""Algorithm 2 on toy denoisers; the conformance kit checks what holds for every sampler."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, mixing, no_noise

from dddm_samplers.fixed_time import FixedTime
from dddm_samplers.options import FixedTimeOptions
from dddm_schedules.discrete import vp
from dddm_schedules.options import VpOptions

SAMPLER = FixedTime(FixedTimeOptions())
SCHEDULE = vp(VpOptions())
LABEL = torch.tensor([3, 0, 7])
seeds = st.integers(0, 2**32)


def denoiser(f: Callable[[Cache, Tensor], Tensor] = mixing) -> ToyDenoiser:
    """A fresh denoiser on the paper's schedule."""
    return ToyDenoiser(SCHEDULE, f)


def noises(seed: int) -> tuple[Tensor, Tensor]:
    """x_T and the first estimate of three images."""
    x_T, first = torch.randn(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(seed))
    return x_T, first


def estimates(x_T: Tensor, first: Tensor, *, steps: int, label: Tensor = LABEL) -> list[Tensor]:
    """All estimates of a run."""
    return list(
        SAMPLER.sample(
            model=denoiser(),
            x_T=x_T,
            first_estimate=first,
            label=label,
            steps=steps,
            noise=no_noise,
        )
    )


@given(seeds, st.integers(1, 12))
def test_is_algorithm_2(seed: int, steps: int) -> None:
    """S times x̂ ← f(x̂, x_T, T), clamped, written out as in the paper."""
    x_T, x_hat = noises(seed)
    found = estimates(x_T, x_hat, steps=steps)
    T = torch.full((3,), 1000)
    for estimate in found:
        x_hat = mixing(Cache(x_t=x_T, t=T, label=LABEL), x_hat).clamp(-1, 1)
        assert torch.equal(estimate, x_hat)
    assert len(found) == steps


@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_steps_add_up(seed: int, a: int, b: int) -> None:
    """Sampling a steps and then b more from there gives what a + b steps give, bit for bit."""
    x_T, first = noises(seed)
    halfway = estimates(x_T, first, steps=a)
    assert torch.equal(
        estimates(x_T, halfway[-1], steps=b)[-1], estimates(x_T, first, steps=a + b)[-1]
    )


@given(seeds)
def test_a_fixed_point_stays(seed: int) -> None:
    """Where f(x̂, x_T, T) = x̂, sampling does not move."""
    x_T, first = noises(seed)
    point = estimates(x_T, first, steps=200)[-1]
    for estimate in estimates(x_T, point, steps=3):
        torch.testing.assert_close(estimate, point, rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_evaluates_once_a_step_and_begins_once(steps: int) -> None:
    """Exactly s evaluations; what depends on x_T alone is computed for all of them at once."""
    model = denoiser()
    x_T, first = noises(0)
    for _ in SAMPLER.sample(
        model=model, x_T=x_T, first_estimate=first, label=LABEL, steps=steps, noise=no_noise
    ):
        pass
    assert len(model.refined) == steps
    assert len(model.caches) == 1
    assert torch.equal(model.caches[0].x_t, x_T)
    assert model.caches[0].t.tolist() == [1000] * 3


def test_evaluates_lazily() -> None:
    """An estimate is computed when requested, so that progress can be shown and stopped."""
    model = denoiser()
    x_T, first = noises(0)
    run = SAMPLER.sample(
        model=model, x_T=x_T, first_estimate=first, label=None, steps=9, noise=no_noise
    )
    next(run)
    assert len(model.refined) == 1


def test_estimates_are_clamped_at_each_step_unless_told_not_to() -> None:
    """Clamped estimates stay in [-1, 1] and are what the next step sees; unclamped ones grow."""
    x_T, first = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)

    def run(*, clamp: bool) -> list[float]:
        model = denoiser(lambda cache, estimate: 3 * estimate)
        sampler = FixedTime(FixedTimeOptions(clamp=clamp))
        return [
            estimate.item()
            for estimate in sampler.sample(
                model=model, x_T=x_T, first_estimate=first, label=None, steps=3, noise=no_noise
            )
        ]

    assert run(clamp=True) == [1, 1, 1]
    assert run(clamp=False) == [3, 9, 27]


def test_less_than_one_step_is_refused() -> None:
    x_T, first = noises(0)
    with pytest.raises(ValueError, match="at least 1"):
        estimates(x_T, first, steps=0)


def towards(cache: Cache, estimate: Tensor) -> Tensor:
    """A contraction whose fixed point is tanh(x_t), faster for images of a higher class."""
    assert cache.label is not None
    rate = (1.0 / (2.0 + cache.label)).reshape(-1, 1, 1, 1)
    return cache.x_t.tanh() + rate * (estimate - cache.x_t.tanh())


def run_with(
    tolerance: float, *, steps: int, f: Callable[[Cache, Tensor], Tensor] = towards
) -> tuple[list[Tensor], ToyDenoiser]:
    """All estimates, and the denoiser that was asked for them."""
    x_T, first = noises(0)
    model = denoiser(f)
    sampler = FixedTime(FixedTimeOptions(tolerance=tolerance))
    found = sampler.sample(
        model=model, x_T=x_T, first_estimate=first, label=LABEL, steps=steps, noise=no_noise
    )
    return list(found), model


def test_converged_images_leave_the_batch() -> None:
    """Each image makes steps until one moves it less than the tolerance, and none after that."""
    steps, tolerance = 40, 1e-3
    exact, _ = run_with(0.0, steps=steps)
    found, model = run_with(tolerance, steps=steps)
    _, first = noises(0)
    path = [first, *exact]
    last = [
        next(
            step
            for step in range(1, steps + 1)
            if (path[step][k] - path[step - 1][k]).square().mean().sqrt() < tolerance
        )
        for k in range(3)
    ]
    assert len(set(last)) == 3
    assert [len(estimate) for estimate in model.refined] == [
        sum(step <= end for end in last) for step in range(1, max(last) + 1)
    ]
    assert len(found) == steps
    for k, end in enumerate(last):
        for step in range(1, steps + 1):
            assert torch.equal(found[step - 1][k], exact[min(step, end) - 1][k])


def test_without_a_tolerance_no_image_leaves() -> None:
    """Also not at a fixed point: the paper's sampler makes every step; it is its own reference."""
    _, model = run_with(0.0, steps=5, f=lambda _cache, estimate: estimate.clamp(-1, 1))
    assert [len(estimate) for estimate in model.refined] == [3] * 5
    assert SAMPLER.reference_sampler is None
    exact = FixedTime(FixedTimeOptions(clamp=False, tolerance=0.1)).reference_sampler
    assert exact is not None
    assert exact.reference_sampler is None
