"""Pseudo-LPIPS: its three forms against their formulas, and a loss that stays finite."""

import math
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from trunks import save_trunk

from dddm_metrics.lpips import Lpips
from dddm_metrics.lpips_options import LpipsOptions, PseudoLpipsOptions
from dddm_metrics.pseudo_lpips import FLOOR, PseudoLpips, shaped

Form = Literal["pseudo", "sqrt", "plain"]
every_form = pytest.mark.parametrize("form", ["pseudo", "sqrt", "plain"])
values = st.floats(0, 10, width=32)


def at(value: float, *, form: Form, c: float = 6.9e-5) -> float:
    return shaped(torch.tensor(value), form=form, c=c).item()


@settings(deadline=None)
@given(values, st.floats(1e-9, 1))
def test_pseudo_keeps_its_digits(value: float, c: float) -> None:
    """In float32, √(L + c²) − c agrees with 60-digit arithmetic to 1e-6, however small L is."""
    with localcontext() as context:
        context.prec = 60
        exact = float((Decimal(value) + Decimal(c) ** 2).sqrt() - Decimal(c))
    assert at(value, form="pseudo", c=c) == pytest.approx(exact, rel=1e-6, abs=1e-37)


def test_pseudo_as_it_is_printed_would_lose_them() -> None:
    """At L = 1e-16 the difference of two roots has no right digit left in float32; ours has."""
    value, c = torch.tensor(1e-16), 6.9e-5
    exact = 1e-16 / (math.sqrt(1e-16 + c * c) + c)
    printed = (value + c * c).sqrt() - c
    assert abs(printed.item() - exact) > 0.5 * exact
    assert at(1e-16, form="pseudo") == pytest.approx(exact, rel=1e-6)


@settings(deadline=None)
@given(values)
def test_the_forms_are_their_formulas(value: float) -> None:
    """Plain is L; sqrt is √L from the floor on, and never more than √L below it."""
    assert at(value, form="plain") == value
    if value >= FLOOR:
        assert at(value, form="sqrt") == pytest.approx(math.sqrt(value), rel=1e-6)
    else:
        assert at(value, form="sqrt") == pytest.approx(value / math.sqrt(FLOOR), rel=1e-6)
    assert at(value, form="pseudo") <= math.sqrt(value) * (1 + 1e-6)


@every_form
@settings(deadline=None)
@given(st.lists(values, min_size=2, max_size=9))
def test_a_larger_distance_stays_larger(form: Form, several: list[float]) -> None:
    """Every form rises with L, from 0 at 0: so d ≥ 0 and d(x, x) = 0."""
    shapes = shaped(torch.tensor([0.0, *sorted(several)]), form=form, c=6.9e-5)
    assert shapes[0] == 0
    assert (shapes.diff() >= 0).all()


@every_form
@settings(deadline=None)
@given(values)
def test_the_slope_is_finite_and_at_least_zero(form: Form, value: float) -> None:
    """Also at L = 0, where that of the root is infinite."""
    lpips = torch.tensor(value, requires_grad=True)
    (slope,) = torch.autograd.grad(shaped(lpips, form=form, c=1e-9), lpips)
    assert 0 <= slope.item() < math.inf


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Random squeeze weights, and no resizing: the fastest."""
    folder: Path = tmp_path_factory.mktemp("trunk")
    return {**save_trunk(folder, "squeeze"), "size": 0}


def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 2, 3, 24, 24, generator=generator) * 2 - 1
    return a, b


@every_form
def test_is_the_form_of_lpips(trunk: dict[str, Any], form: Form) -> None:
    """One number a sample, of the LPIPS with the same options; for several targets too."""
    a, b = images()
    metric = PseudoLpips(PseudoLpipsOptions(**trunk, form=form, c=0.01))
    lpips = Lpips(LpipsOptions(**trunk)).distance(estimate=a, target=b)
    distance = metric.distance(estimate=a, target=b)
    assert torch.equal(distance, shaped(lpips, form=form, c=0.01))
    to_b, to_a = metric.distances(estimate=a, targets=(b, a))
    assert torch.equal(to_b, distance)
    assert torch.equal(to_a, torch.zeros(2))
    assert metric.trained_on == "ImageNet"


@every_form
def test_a_perfect_estimate_moves_nothing(trunk: dict[str, Any], form: Form) -> None:
    """At equality the gradient is 0, and no not-a-number comes of an infinite slope."""
    metric = PseudoLpips(PseudoLpipsOptions(**trunk, form=form))
    target, _ = images()
    estimate = target.clone().requires_grad_()
    loss = metric.distance(estimate=estimate, target=target).mean()
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert torch.equal(gradient, torch.zeros_like(target))
