"""What an objective promises; see `dddm.interfaces.objective`.

Legend: B rows, G sets of n rows; T the last time; θ what a denoiser learns.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Objective, Outcome
from dddm.support.noise import generator_for
from dddm.testing.check import Suite, expect
from dddm.testing.material import expect_close, expect_equal
from dddm.testing.objective_bench import Bench, bench, facts_of, halves
from dddm.testing.subject import LeftOut, Subject

OBJECTIVE: Final = Suite(
    "objective",
    capabilities={
        "optimum": "the best denoiser of Gaussian images is known, and training finds it",
    },
)

_STEPS: Final = (0, 5, 9)
_VARIANCE: Final = 0.25
_OPTIMUM_ROWS: Final = 4096
_OPTIMUM_BATCHES: Final = 16
_DEVIATIONS: Final = 4.0
_WRONG_SCALE: Final = 1.5
_ONE_PIXEL: Final = ImageShape(channels=1, height=1, width=1)


@OBJECTIVE.check(basis=True)
def steps(subject: Subject) -> None:
    """A step gives what its interface says, for every shape, at every stage of training."""
    for shape in subject.shapes:
        for step in _STEPS:
            outcome = bench(subject, shape=shape, step=step).step()
            expect(bool(outcome.loss.isfinite()), f"the loss is {float(outcome.loss.detach())}")
            if outcome.loss_B is not None:
                expect_close(
                    outcome.loss_B.detach().mean(),
                    outcome.loss.detach(),
                    "the loss is not the mean of the rows' losses",
                )


@OBJECTIVE.check()
def draws_are_seeded(subject: Subject) -> None:
    """What is drawn depends on the generator alone, and is on its device."""
    first, second = (bench(subject).draws.values for _ in range(2))
    expect(first.keys() == second.keys(), f"{sorted(first)} were drawn, then {sorted(second)}")
    for name, tensor in first.items():
        expect_equal(
            second[name],
            tensor,
            f"one seed of the generator gave two draws of {name}",
            remedy="pass the generator on to torch",
        )
        expect(tensor.device.type == "cpu", f"{name} is on {tensor.device}")
    other = bench(subject, seed=1).draws.values
    if first:
        expect(
            any(not torch.equal(tensor, other[name]) for name, tensor in first.items()),
            "two seeds of the generator gave the same draws",
        )


@OBJECTIVE.check()
def draws_nothing_in_a_step(subject: Subject) -> None:
    """A step is the same whatever torch's random state is, and leaves it as it was."""
    first = bench(subject).step()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    second = bench(subject).step()
    expect(
        torch.equal(before, torch.get_rng_state()),
        "a step drew from torch's own generator",
        remedy="draw in `draw`, from its generator",
    )
    expect_equal(
        second.loss.detach(),
        first.loss.detach(),
        "a second time the loss is another",
        remedy="draw in `draw`, from its generator",
    )


@OBJECTIVE.check()
def shares_its_work(subject: Subject) -> None:
    """The mean of two halves' losses, and of their gradients, is that of the whole batch."""
    whole = bench(subject)
    outcome = whole.step()
    slope = _slope(whole, outcome)
    losses, slopes = [], []
    for part in halves(whole):
        half = bench(subject)
        of_half = half.some(part)
        losses.append(of_half.loss.detach())
        slopes.append(_slope(half, of_half))
    remedy = "let the loss of a row, or of a set, depend on nothing else in the batch"
    expect_close(torch.stack(losses).mean(), outcome.loss.detach(), "losses differ", remedy=remedy)
    expect_close(torch.stack(slopes).mean(), slope, "gradients differ", remedy=remedy)


@OBJECTIVE.check()
def memory_of_each_row(subject: Subject) -> None:
    """What is remembered of a row depends on that row alone, or on its set."""
    facts = facts_of(subject)
    if not facts.memory:
        raise LeftOut("it has no memory")
    whole = bench(subject)
    outcome = whole.step()
    for part in halves(whole):
        of_half = bench(subject).some(part)
        for name, tensor in outcome.memory.items():
            expect_close(
                of_half.memory[name], tensor[part], f"what is remembered in {name} differs"
            )
    expect(bool(outcome.memory), "nothing of the memory is ever written")


@OBJECTIVE.check()
def gradient(subject: Subject) -> None:
    """The loss has a finite gradient that reaches what the denoiser learns."""
    for step in _STEPS:
        made = bench(subject, step=step)
        slope = _slope(made, made.step())
        expect(bool(slope.isfinite()), f"the gradient is {float(slope)} at step {step}")
        expect(bool(slope != 0), f"no gradient reaches the denoiser at step {step}")


def _slope(made: Bench, outcome: Outcome) -> Tensor:
    (slope,) = torch.autograd.grad(outcome.loss, made.denoiser.theta, allow_unused=True)
    return torch.zeros(()) if slope is None else slope


@OBJECTIVE.check()
def evaluations(subject: Subject) -> None:
    """The network is evaluated as often as its facts say, with gradient and without."""
    facts = facts_of(subject)
    made = bench(subject)
    made.step()
    seen: dict[bool, float] = {True: 0.0, False: 0.0}
    for call in made.denoiser.calls:
        seen[call.gradient] += len(call.x_t) / made.rows
    for call in () if made.average is None else made.average.calls:
        seen[False] += len(call.x_t) / made.rows
    said = {True: facts.evaluations, False: facts.evaluations_without_gradient}
    for gradient, how in ((True, "with"), (False, "without")):
        expect(
            math.isclose(seen[gradient], said[gradient], abs_tol=1e-6),
            f"{seen[gradient]:g} evaluations {how} gradient for each row, and its facts say "
            f"{said[gradient]:g}",
            remedy="correct ObjectiveInfo: the dry run counts by them",
        )


@OBJECTIVE.check()
def gives_what_it_says(subject: Subject) -> None:
    """x̂ and a second time, from 0 to t, are given exactly where the facts say so; labels always."""
    facts = facts_of(subject)
    made = bench(subject)
    made.step()
    for call in made.denoiser.calls:
        given = call.estimate is not None
        expect(
            given == (facts.estimate != "none"),
            f"x̂ is {'given' if given else 'not given'}, and the facts say {facts.estimate!r}",
        )
        second = call.second_time is not None
        expect(
            second == facts.second_time,
            f"a second time is {'given' if second else 'not given'}, and the facts say "
            f"{facts.second_time}",
        )
        if call.second_time is not None:
            inside = (call.second_time >= 0) & (call.second_time <= call.t)
            expect(bool(inside.all()), "a second time lies outside [0, t]")
        expect(call.label is not None, "the labels were left out")
        inside = (call.t > 0) & (call.t <= made.schedule.last_time)
        expect(bool(inside.all()), f"the network sees t = {call.t.tolist()}")


@OBJECTIVE.check()
def inputs_unchanged(subject: Subject) -> None:
    """A step changes neither images, nor draws, nor the memory that it is given."""
    made = bench(subject)
    given = {"x_0": made.batch.x_0, **made.draws.values, **made.memory}
    kept = {name: tensor.clone() for name, tensor in given.items()}
    made.step()
    for name, tensor in kept.items():
        expect_equal(given[name], tensor, f"{name} was changed")


@OBJECTIVE.check()
def state_round_trip(subject: Subject) -> None:
    """With the state of another one restored, an objective makes the same next step."""
    first = bench(subject)
    _walk(first.objective, first)
    second = bench(subject)
    second.objective.restore({name: t.clone() for name, t in first.objective.state().items()})
    expect_equal(
        second.step().loss.detach(),
        first.step().loss.detach(),
        "the next step's loss differs",
        remedy="give all that a step depends on in `state`, and take it back in `restore`",
    )


def _walk(objective: Objective, made: Bench) -> None:
    made.step()
    objective.after_step(backbone=None, progress=made.progress)  # type: ignore[arg-type]


@OBJECTIVE.check()
def diagnoses(subject: Subject) -> None:
    """`diagnose` gives finite numbers, those that its facts name among them."""
    facts = facts_of(subject)
    made = bench(subject)
    found = made.objective.diagnose(made.diagnosis())
    for name, number in found.items():
        expect(
            type(number) is float and math.isfinite(number),
            f"{name} is {number!r}, no finite float",
        )
    if facts.diagnosis is not None:
        floor = [facts.diagnosis.floor] if facts.diagnosis.floor else []
        named = [name for name, _ in (*facts.diagnosis.curves, *floor)]
        missing = [name for name in named if name not in found]
        expect(not missing, f"its facts name {missing}, which it does not measure")


@OBJECTIVE.check(capability="optimum")
def optimum(subject: Subject) -> None:
    """At the best denoiser of x_0 ~ N(0, 1/4) the expected gradient is zero, to 4 deviations."""
    made = bench(subject, shape=_ONE_PIXEL)
    best = made.objective.optimum(variance=_VARIANCE, schedule=made.schedule)
    if best is None:
        raise LeftOut("it does not say which denoiser is best")
    mean, deviation = _expected_gradient(subject, best)
    expect(
        abs(mean) <= _DEVIATIONS * deviation,
        f"it is {mean:.4g} with a deviation of {deviation:.2g}",
        remedy="compare the loss with its formula: signs, weights, and which time belongs to what",
    )
    # Zero within the noise says nothing where the noise would hide any mistake.
    mean, deviation = _expected_gradient(subject, best, scale=_WRONG_SCALE)
    if abs(mean) <= _DEVIATIONS * deviation:
        raise LeftOut(
            f"its gradient is too noisy to tell: {mean:.4g} with a deviation of {deviation:.2g} "
            f"for a denoiser that is {_WRONG_SCALE} times too large; few times may weigh too much"
        )


def _expected_gradient(
    subject: Subject, best: Callable[..., Tensor], *, scale: float = 1.0
) -> tuple[float, float]:
    """The gradient at `scale` times the best denoiser: its mean over batches, and its deviation."""
    slopes = []
    for seed in range(_OPTIMUM_BATCHES):
        rows = _OPTIMUM_ROWS
        generator = generator_for("conformance optimum", seed)
        tried = bench(
            subject,
            shape=_ONE_PIXEL,
            seed=100 * seed,
            x_0=math.sqrt(_VARIANCE) * torch.randn(rows, 1, 1, 1, generator=generator),
            rows=rows,
            function=lambda **given: (
                scale
                * best(
                    x_t=given["x_t"],
                    t=given["t"],
                    second_time=given["second_time"],
                    estimate=given["estimate"],
                )
            ),
        )
        slopes.append(_slope(tried, tried.step()))
    found = torch.stack(slopes).double()
    return float(found.mean()), float(found.std() / math.sqrt(len(found)))
