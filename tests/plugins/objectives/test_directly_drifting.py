"""Directly drifting: its rows are chains of algorithm 2, and both halves are compared apart."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from objective_steps import progress_at
from torch import Tensor

from dddm.core.draws import Draws, draw
from dddm.core.step import StepParts, make_step
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Batch, Outcome, RealSets
from dddm.testing.toys import ScalarDenoiser, cosine_schedule
from dddm_objectives.comparison import Comparison
from dddm_objectives.directly_drifting import DirectlyDrifting
from dddm_objectives.set_options import DirectlyDriftingOptions
from dddm_samplers.fixed_time import FixedTime
from dddm_samplers.options import FixedTimeOptions

SCHEDULE = cosine_schedule()
SHAPE = ImageShape(channels=1, height=8, width=8)
SETS, ROWS, REAL = 3, 4, 6


def f(*, x_t: Tensor, label: Any, estimate: Any, **_: Any) -> Tensor:
    """Goes out of [-1, 1] here and there."""
    found: Tensor = 0.8 * torch.tanh(2 * x_t) + 0.9 * estimate.roll(1, -1)
    shift: Tensor = 0.1 * label.reshape(-1, 1, 1, 1)
    return found + shift


def slow(**given: Any) -> Tensor:
    return 0.5 * f(**given)


class Chains:
    """A memory of 12 rows, and steps on it."""

    def __init__(self, *, restart: float, **options: Any) -> None:
        self.options = DirectlyDriftingOptions(rows=ROWS, real=REAL, restart=restart, **options)
        self.objective = DirectlyDrifting(self.options)
        self.average: Callable[..., Tensor] = slow
        generator = torch.Generator().manual_seed(5)
        count = SETS * ROWS
        self.memory = {
            "estimate": torch.randn(count, 1, 8, 8, generator=generator),
            "x_T": torch.randn(count, 1, 8, 8, generator=generator),
            "depth": torch.zeros(count, 1, 1, 1),
        }
        label_G = torch.arange(SETS)
        self.batch = Batch(
            index=torch.arange(count),
            x_0=torch.zeros(count, 1, 8, 8),
            label=label_G.repeat_interleave(ROWS),
            rows=torch.arange(count),
            sets=RealSets(
                index=torch.arange(SETS * REAL).reshape(SETS, REAL),
                x_0=torch.rand(SETS, REAL, 1, 8, 8, generator=generator) * 2 - 1,
                label=label_G,
            ),
        )

    def draws(self, seed: int) -> Draws:
        return draw(
            self.objective,
            count=SETS * ROWS,
            shape=SHAPE,
            schedule=SCHEDULE,
            progress=progress_at(0),
            generator=torch.Generator().manual_seed(seed),
            flips=False,
        )

    def step(self, draws: Draws) -> tuple[Outcome, ScalarDenoiser]:
        """One step, whose rows are written."""
        denoiser = ScalarDenoiser(SCHEDULE, function=f)
        outcome = make_step(
            StepParts(
                objective=self.objective,
                denoiser=denoiser,
                average=ScalarDenoiser(SCHEDULE, function=self.average),
                metric=None,
            ),
            batch=self.batch,
            draws=draws,
            memory=self.memory,
            progress=progress_at(0),
        )
        assert outcome.written is not None
        for name, values in outcome.memory.items():
            self.memory[name] = torch.where(
                outcome.written.reshape(-1, 1, 1, 1), values.detach(), self.memory[name]
            )
        return outcome, denoiser


LATER = torch.tensor([False, False, True, True] * SETS)


def test_first_steps_start_from_noise_and_later_ones_from_the_memory() -> None:
    chains = Chains(restart=0.0)
    chains.memory["depth"][LATER] = 3
    before = {name: tensor.clone() for name, tensor in chains.memory.items()}
    draws = chains.draws(0)
    outcome, denoiser = chains.step(draws)
    (call,) = denoiser.calls
    assert call.gradient
    assert call.estimate is not None
    first, later = slice(0, SETS * 2), slice(SETS * 2, None)
    assert torch.equal(call.cache.x_t[first], draws.values["noise"][~LATER])
    assert torch.equal(call.estimate[first], draws.values["first_estimate"][~LATER])
    assert torch.equal(call.cache.x_t[later], before["x_T"][LATER])
    assert torch.equal(call.estimate[later], before["estimate"][LATER])
    assert call.cache.label is not None
    assert call.cache.label.tolist() == [0, 0, 1, 1, 2, 2] * 2
    assert outcome.written is not None
    assert torch.equal(outcome.written, LATER)
    assert bool((chains.memory["depth"][LATER] == 4).all())
    for name, tensor in before.items():
        assert torch.equal(chains.memory[name][~LATER], tensor[~LATER])


def test_the_loss_is_the_mean_of_both_halves() -> None:
    """Each compared with all real images of its set, as `drifting` compares them."""
    chains = Chains(restart=0.0)
    chains.memory["depth"][LATER] = 1
    outcome, denoiser = chains.step(chains.draws(1))
    (call,) = denoiser.calls
    made = f(x_t=call.cache.x_t, label=call.cache.label, estimate=call.estimate)
    compare, sets = Comparison(chains.options), chains.batch.sets
    assert sets is not None
    first, first_drift = compare(made[: SETS * 2], sets.x_0)
    later, later_drift = compare(made[SETS * 2 :], sets.x_0)
    torch.testing.assert_close(outcome.loss.detach(), (first + later) / 2)
    torch.testing.assert_close(outcome.numbers["drift"].detach(), first_drift)
    torch.testing.assert_close(outcome.numbers["later_drift"].detach(), later_drift)


@pytest.mark.parametrize("depth", [0, 5])
def test_a_new_chain_starts_with_a_step_of_the_averaged_network(depth: int) -> None:
    """Where there is none yet, and where it is drawn: here everywhere."""
    chains = Chains(restart=float(depth > 0))
    chains.memory["depth"][LATER] = depth
    draws = chains.draws(2)
    _, denoiser = chains.step(draws)
    (call,) = denoiser.calls
    x_T, first = draws.values["noise"][LATER], draws.values["first_estimate"][LATER]
    label = chains.batch.label
    assert label is not None
    started = slow(x_t=x_T, label=label[LATER], estimate=first).clamp(-1, 1)
    assert call.estimate is not None
    assert torch.equal(call.cache.x_t[SETS * 2 :], x_T)
    torch.testing.assert_close(call.estimate[SETS * 2 :], started)
    assert torch.equal(chains.memory["x_T"][LATER], x_T)
    assert bool((chains.memory["depth"][LATER] == 2).all())


def test_the_memory_holds_the_estimates_of_algorithm_2() -> None:
    """With a network that does not change, after k steps just those of the sampler after k + 1."""
    chains = Chains(restart=0.0)
    chains.average = f
    first = chains.draws(3)
    for seed in (3, 4, 5):
        chains.step(chains.draws(seed))
    label = chains.batch.label
    assert label is not None
    *_, expected = FixedTime(FixedTimeOptions()).sample(
        model=ScalarDenoiser(SCHEDULE, function=f),
        x_T=first.values["noise"][LATER],
        first_estimate=first.values["first_estimate"][LATER],
        label=label[LATER],
        steps=4,
        noise=torch.zeros,
    )
    torch.testing.assert_close(chains.memory["estimate"][LATER], expected.detach())
    assert bool((chains.memory["depth"][LATER] == 4).all())
