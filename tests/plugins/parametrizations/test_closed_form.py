"""Parametrizations against closed forms: where x_0 ~ N(0, v), all optima are known.

    E[x_0 | x_t] = a v x_t / w²,  E[ε | x_t] = s x_t / w²,  w² = a² v + s²

Legend: B images of 1 value each.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dddm.core.forward_mode import jvp
from dddm.errors import RecipeError
from dddm.interfaces.parametrization import Parametrization
from dddm.testing.toys import PATHS, ToySchedule
from dddm_parametrizations.affine import consistency, edm, noise, residual, v_prediction, velocity
from dddm_parametrizations.options import ConsistencyOptions, EdmOptions, PlainOptions

VARIANCE = 0.25
DISCRETE, LINEAR, EXPLODING = PATHS
MAKERS: dict[str, Callable[[ToySchedule], Parametrization]] = {
    "residual": lambda path: residual(PlainOptions(), schedule=path),
    "noise": lambda path: noise(PlainOptions(), schedule=path),
    "v-prediction": lambda path: v_prediction(PlainOptions(), schedule=path),
    "velocity": lambda path: velocity(PlainOptions(), schedule=path),
    "edm": lambda path: edm(EdmOptions(), schedule=path),
    "consistency": lambda path: consistency(ConsistencyOptions(), schedule=path),
}
every_path = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)


def times(path: ToySchedule, count: int = 20) -> Tensor:
    return path.grid(steps=count).flip(0)


def column(coefficient_B: Tensor) -> Tensor:
    return coefficient_B.reshape(-1, 1, 1, 1)


class Optimum:
    """The best estimates of x_0 and ε from x_t, in float64, (B, 1, 1, 1)."""

    def __init__(self, path: ToySchedule, t: Tensor) -> None:
        self.a, self.s = column(path.signal(t)), column(path.noise(t))
        self.total = self.a.square() * VARIANCE + self.s.square()
        self.x_t = torch.linspace(-2, 2, len(t), dtype=torch.float64).reshape(-1, 1, 1, 1)
        self.x_t = self.x_t * self.total.sqrt()
        self.x_0 = self.a * VARIANCE * self.x_t / self.total
        self.eps = self.s * self.x_t / self.total


TARGETS: dict[str, Callable[[Optimum], Tensor]] = {
    "residual": lambda best: best.x_t - best.x_0,
    "noise": lambda best: best.eps,
    "v-prediction": lambda best: best.a * best.eps - best.s * best.x_0,
    "velocity": lambda best: best.eps - best.x_0,
    # With σ_d² = v the best EDM can ask for is nothing: c_skip x is the optimum already.
    "edm": lambda best: torch.zeros_like(best.x_t),
}


@every_path
@pytest.mark.parametrize("name", TARGETS)
def test_each_represents_the_optimum(path: ToySchedule, name: str) -> None:
    """The F that its name says, at the optimum, gives the best estimate at every time."""
    if (name, path) == ("noise", LINEAR):
        pytest.skip("at its end ε says nothing of x_0")
    t = times(path)
    best = Optimum(path, t)
    found = MAKERS[name](path).estimate(x_t=best.x_t, raw=TARGETS[name](best), t=t)
    torch.testing.assert_close(found, best.x_0, rtol=1e-9, atol=1e-9)


@every_path
@pytest.mark.parametrize("name", ["edm", "consistency"])
def test_a_network_is_asked_for_something_of_size_one(path: ToySchedule, name: str) -> None:
    """The target (x_0 − skip x_t)/out and the input have unit variance, for σ_d² = v (EDM, B.6)."""
    generator = torch.Generator().manual_seed(0)
    for t in times(path, 10)[[1, 4, 9]]:
        count = 20_000
        t_B = t.expand(count)
        x_0, eps = (
            torch.randn(count, 1, 1, 1, generator=generator, dtype=torch.float64) for _ in range(2)
        )
        x_t = path.diffuse(x_0=x_0 * VARIANCE**0.5, t=t_B, noise=eps)
        made = MAKERS[name](path)
        zero, one = (
            made.estimate(x_t=x_t, raw=torch.full_like(x_t, raw), t=t_B) for raw in (0.0, 1.0)
        )
        target = (x_0 * VARIANCE**0.5 - zero) / (one - zero)
        assert float(made.network_input(x_t=x_t, t=t_B).var()) == pytest.approx(1, abs=0.05)
        assert float(target.var()) == pytest.approx(1, abs=0.05)


def table(sigma: Tensor, sigma_data: float) -> dict[str, Tensor]:
    """EDM's table 1, as it is printed."""
    return {
        "skip": sigma_data**2 / (sigma**2 + sigma_data**2),
        "out": sigma * sigma_data / (sigma**2 + sigma_data**2) ** 0.5,
        "in": 1 / (sigma_data**2 + sigma**2) ** 0.5,
        "noise": sigma.log() / 4,
    }


@pytest.mark.parametrize("sigma_data", [0.5, 0.752])
def test_edm_is_its_published_table(sigma_data: float) -> None:
    """On x_0 + σ ε, where σ is t."""
    sigma = torch.tensor([0.002, 0.5, 1.0, 80.0], dtype=torch.float64)
    made = edm(EdmOptions(sigma_data=sigma_data), schedule=EXPLODING)
    x_t, raw = torch.randn(2, 4, 1, 2, 2, dtype=torch.float64)
    printed = {name: column(number) for name, number in table(sigma, sigma_data).items()}
    torch.testing.assert_close(
        made.estimate(x_t=x_t, raw=raw, t=sigma), printed["skip"] * x_t + printed["out"] * raw
    )
    torch.testing.assert_close(made.network_input(x_t=x_t, t=sigma), printed["in"] * x_t)
    torch.testing.assert_close(
        made.network_time(sigma), printed["noise"].flatten().float(), rtol=1e-6, atol=0
    )


def test_edm_on_another_path_is_edm_of_x_t_over_a() -> None:
    """With σ = s/a, wherever a is above 0."""
    t = times(DISCRETE)
    a, s = DISCRETE.signal(t), DISCRETE.noise(t)
    x_t, raw = torch.randn(2, len(t), 1, 2, 2, dtype=torch.float64)
    on_path = edm(EdmOptions(), schedule=DISCRETE)
    plain = edm(EdmOptions(), schedule=EXPLODING)
    given = {"x_t": x_t / column(a), "t": s / a}
    torch.testing.assert_close(
        on_path.estimate(x_t=x_t, raw=raw, t=t), plain.estimate(raw=raw, **given)
    )
    torch.testing.assert_close(on_path.network_input(x_t=x_t, t=t), plain.network_input(**given))
    torch.testing.assert_close(on_path.network_time(t), plain.network_time(s / a))


def test_where_nothing_is_left_edm_is_the_network() -> None:
    """At a = 0 and s = 1 the input is x_t and the estimate σ_d F, without overflow."""
    made = edm(EdmOptions(), schedule=LINEAR)
    x_t, raw = torch.randn(2, 3, 1, 2, 2)
    t = torch.ones(3, dtype=torch.float64)
    assert torch.equal(made.estimate(x_t=x_t, raw=raw, t=t), 0.5 * raw)
    assert torch.equal(made.network_input(x_t=x_t, t=t), x_t)
    assert made.network_time(t).isfinite().all()


@pytest.mark.parametrize("sigma", [0.002, 0.001, 1e-9])
def test_at_the_boundary_the_estimate_is_the_image(sigma: float) -> None:
    """At σ_min, and below, D = x_t whatever the network says: c_skip = 1 and c_out = 0."""
    made = consistency(ConsistencyOptions(sigma_min=0.002), schedule=EXPLODING)
    x_t, raw = torch.randn(2, 3, 1, 2, 2)
    found = made.estimate(x_t=x_t, raw=raw, t=torch.full((3,), sigma, dtype=torch.float64))
    assert torch.equal(found, x_t)


def test_consistency_is_its_published_formula() -> None:
    """Song et al. 2023, appendix C, with σ_d = 0.5 and ε = 0.002."""
    sigma = torch.tensor([0.0025, 0.5, 80.0], dtype=torch.float64)
    made = consistency(ConsistencyOptions(), schedule=EXPLODING)
    x_t, raw = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64)
    skip = 0.25 / ((sigma - 0.002) ** 2 + 0.25)
    out = 0.5 * (sigma - 0.002) / (0.25 + sigma**2) ** 0.5
    expected = column(skip) * x_t + column(out) * raw
    torch.testing.assert_close(made.estimate(x_t=x_t, raw=raw, t=sigma), expected)


@every_path
def test_arctan_is_between_0_and_1000(path: ToySchedule) -> None:
    """1000·(2/π)·atan(σ/σ_d): 0 without noise, 500 at σ_d, 1000 without an image."""
    options = EdmOptions(network_time="arctan")
    made = edm(options, schedule=path)
    found = made.network_time(times(path))
    assert float(found.min()) > 0
    assert float(found.max()) <= 1000
    assert bool((found.diff() > 0).all())
    at_data = edm(options, schedule=EXPLODING).network_time(torch.tensor([0.0, 0.5]))
    torch.testing.assert_close(at_data, torch.tensor([0.0, 500.0]))
    end = edm(options, schedule=LINEAR).network_time(torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(end, torch.tensor([1000.0]))


@every_path
def test_unit_is_the_fraction_of_the_last_time(path: ToySchedule) -> None:
    made = edm(EdmOptions(network_time="unit"), schedule=path)
    expected = (times(path).double() / path.last_time).float()
    torch.testing.assert_close(made.network_time(times(path)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", MAKERS)
def test_times_may_be_differentiated(name: str) -> None:
    """Along t of a continuous path, forward mode agrees with finite differences."""
    made = MAKERS[name](EXPLODING)
    x_t, raw = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64)
    t = torch.tensor([0.3, 2.0, 40.0], dtype=torch.float64)

    def f(t: Tensor) -> Tensor:
        return made.estimate(x_t=x_t, raw=raw + made.network_input(x_t=x_t, t=t), t=t)

    _, slope = jvp(f, (t,), (torch.ones_like(t),))
    step = 1e-5
    differences = (f(t + step) - f(t - step)) / (2 * step)
    torch.testing.assert_close(slope, differences, rtol=1e-5, atol=1e-8)
    _, rate = jvp(made.network_time, (t,), (torch.ones_like(t),))
    assert bool((rate > 0).all())


def test_noise_is_refused_where_nothing_of_the_image_is_left() -> None:
    """With the two that can be used there."""
    with pytest.raises(RecipeError, match="leaves nothing of the image") as caught:
        noise(PlainOptions(), schedule=LINEAR)
    assert "velocity" in str(caught.value.remedy)


@every_path
def test_images_are_float32(path: ToySchedule) -> None:
    """Coefficients are float64, and what they multiply stays what it is."""
    t = times(path)
    x_t = torch.randn(len(t), 1, 2, 2)
    given: dict[str, Any] = {"x_t": x_t, "raw": x_t, "t": t}
    for name in ("residual", "v-prediction", "velocity", "edm", "consistency"):
        made = MAKERS[name](path)
        assert made.estimate(**given).dtype == torch.float32
        assert made.network_input(x_t=x_t, t=t).dtype == torch.float32
        assert made.network_time(t).dtype == torch.float32
