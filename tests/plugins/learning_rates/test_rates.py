"""Each learning rate is its formula, computed here by hand."""

import math
import subprocess
import sys

import pytest

from dddm.interfaces.plugin import RecipeContext
from dddm_learning_rates.options import (
    ConstantOptions,
    CosineOptions,
    InverseSqrtOptions,
    StepsOptions,
    check_steps,
)
from dddm_learning_rates.rates import Constant, Cosine, InverseSqrt, Steps

AROUND = RecipeContext(data=None, tables={})


def test_constant_is_the_papers_by_default() -> None:
    """2e-4 at every step."""
    rate = Constant(ConstantOptions())
    assert {rate.at(step=step, total_steps=100) for step in range(100)} == {2e-4}


def test_a_warm_up_rises_by_equal_amounts() -> None:
    """From a quarter to the whole in four steps, and stays."""
    rate = Constant(ConstantOptions(rate=1.0, warmup_steps=4))
    assert [rate.at(step=s, total_steps=6) for s in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize("drops", [(), (0.7,), (0.1, 0.3, 0.9), (1 / 3, 2 / 3)])
@pytest.mark.parametrize("warmup_steps", [0, 7])
@pytest.mark.parametrize("total_steps", [1, 3, 100, 997])
def test_steps_are_those_of_version_0_1(
    drops: tuple[float, ...], warmup_steps: int, total_steps: int
) -> None:
    """Bit for bit, at every step."""
    rate = Steps(StepsOptions(rate=2e-3, drops=drops, factor=0.3, warmup_steps=warmup_steps))
    for step in range(total_steps):
        fallen = sum(step >= drop * total_steps for drop in drops)
        warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        expected = 2e-3 * 0.3**fallen * warm
        assert rate.at(step=step, total_steps=total_steps) == expected


def test_steps_fall_where_they_are_told_to() -> None:
    """At half of ten steps and at eight of them."""
    rate = Steps(StepsOptions(rate=1.0, drops=(0.5, 0.8)))
    found = [rate.at(step=step, total_steps=10) for step in range(10)]
    assert found == [1.0] * 5 + [0.25] * 3 + [0.0625] * 2


def test_steps_warm_up_while_they_fall() -> None:
    """It rises by equal amounts to the full rate, and drops count from there."""
    rate = Steps(StepsOptions(rate=1.0, drops=(0.5,), factor=0.5, warmup_steps=4))
    found = [rate.at(step=step, total_steps=10) for step in range(7)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.5])


def test_cosine() -> None:
    """Half of the way down at half of the run, and falling all along."""
    rate = Cosine(CosineOptions(rate=2.0))
    found = [rate.at(step=step, total_steps=8) for step in range(8)]
    assert found == pytest.approx([1 + math.cos(math.pi * step / 8) for step in range(8)])
    assert found[4] == pytest.approx(1.0)


def test_cosine_that_begins_late_and_leaves_some() -> None:
    """Constant for half of the run; halfway down the rest it is between 1 and what is left."""
    rate = Cosine(CosineOptions(rate=1.0, begin=0.5, final_fraction=0.2))
    assert {rate.at(step=step, total_steps=100) for step in range(51)} == {1.0}
    assert rate.at(step=75, total_steps=100) == pytest.approx(0.6)
    assert rate.at(step=99, total_steps=100) == pytest.approx(0.2, abs=1e-3)
    level = Cosine(CosineOptions(rate=1.0, final_fraction=1.0))
    assert level.at(step=9, total_steps=10) == 1.0


def test_inverse_sqrt() -> None:
    """As EDM2's training loop computes it, with batches of one image."""
    rate = InverseSqrt(InverseSqrtOptions(rate=0.01, reference_steps=70, warmup_steps=10))
    for step in range(1000):
        edm2 = 0.01 / math.sqrt(max(step / 70, 1)) * min((step + 1) / 10, 1)
        assert rate.at(step=step, total_steps=1000) == pytest.approx(edm2, rel=1e-15)
    assert rate.at(step=280, total_steps=1) == 0.005


@pytest.mark.parametrize("drops", [(0.5, 0.5), (0.7, 0.2)])
def test_drops_must_rise(drops: tuple[float, ...]) -> None:
    """With what to write instead."""
    (issue,) = check_steps(StepsOptions(drops=drops), AROUND)
    assert issue.option == "drops"
    assert issue.remedy == "write, for instance, drops = [0.5, 0.75]"
    assert not list(check_steps(StepsOptions(drops=(0.2, 0.7)), AROUND))


def test_learning_rates_need_no_torch() -> None:
    """Neither to be registered nor to be computed."""
    code = "import dddm_learning_rates, dddm_learning_rates.rates, sys; assert 'torch' not in sys"
    subprocess.run([sys.executable, "-c", f"{code}.modules"], check=True)
