"""What an objective promises; see `dddm.interfaces.objective`.

It is tested with a denoiser of one parameter and steps as training makes them.

Legend: B rows, G sets of n rows, m real images of a set; T the last time; θ the parameter.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor

from dddm.core.draws import Draws, draw
from dddm.core.step import StepParts, make_step
from dddm.data.in_memory_split import InMemorySplit
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.info import ImageShape, ObjectiveInfo
from dddm.interfaces.objective import (
    Batch,
    Diagnosis,
    Objective,
    Outcome,
    RealSets,
    TrainingProgress,
)
from dddm.interfaces.schedule import Schedule
from dddm.support.images import to_uint8
from dddm.support.noise import generator_for
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import assert_close, assert_equal, cache_in, noise, pictures
from dddm.testing.toys import ScalarDenoiser, SquaredError, cosine_schedule, linear_schedule

_STEPS: Final = (0, 5, 9)
_CLASSES: Final = 3
_ROWS: Final = 6
_SETS: Final = 4
_VARIANCE: Final = 0.25
_OPTIMUM_ROWS: Final = 4096
_OPTIMUM_BATCHES: Final = 16
_DEVIATIONS: Final = 4.0
_WRONG_SCALE: Final = 1.5
_ONE_PIXEL: Final = ImageShape(channels=1, height=1, width=1)


@final
@frozen(kw_only=True)
class Setup:
    """One objective, and all that a step of it needs."""

    objective: Objective
    facts: ObjectiveInfo
    shape: ImageShape
    denoiser: ScalarDenoiser
    average: ScalarDenoiser | None
    batch: Batch
    draws: Draws
    memory: Mapping[str, Tensor]
    progress: TrainingProgress

    @property
    def rows(self) -> int:
        """B."""
        return len(self.batch.rows)

    def step(self) -> Outcome:
        """One step on all rows."""
        return self._step(self.batch, self.draws, self.memory)

    def step_on(self, part: slice) -> Outcome:
        """One step on some of the rows: whole sets, where it compares sets."""
        batch, sets = self.batch, self.batch.sets
        if sets is not None:
            size = self.rows // len(sets.index)
            of_sets = slice(part.start // size, part.stop // size)
            label = None if sets.label is None else sets.label[of_sets]
            sets = evolve(sets, index=sets.index[of_sets], x_0=sets.x_0[of_sets], label=label)
        cut = Batch(
            index=batch.index[part],
            x_0=batch.x_0[part],
            label=None if batch.label is None else batch.label[part],
            rows=batch.rows[part],
            sets=sets,
        )
        memory = {name: tensor[part] for name, tensor in self.memory.items()}
        return self._step(cut, self.draws[part], memory)

    def _step(self, batch: Batch, draws: Draws, memory: Mapping[str, Tensor]) -> Outcome:
        parts = StepParts(
            objective=self.objective,
            denoiser=self.denoiser,
            average=self.average,
            metric=SquaredError() if self.facts.metric else None,
        )
        return make_step(parts, batch=batch, draws=draws, memory=memory, progress=self.progress)

    def gradient(self, outcome: Outcome) -> Tensor:
        """Of the loss by θ."""
        (found,) = torch.autograd.grad(outcome.loss, self.denoiser.theta, allow_unused=True)
        return torch.zeros(()) if found is None else found

    def diagnosis(self) -> Diagnosis:
        """What `diagnose` is given."""
        shape = self.shape.as_tuple
        return Diagnosis(
            denoiser=self.denoiser,
            batch=self.batch,
            memory=self.memory,
            progress=self.progress,
            noise=lambda purpose: noise(self.rows, *shape, seed=sum(purpose.encode())),
        )


Prepare = Callable[..., Setup]


def _preparing(subject: Subject) -> Iterator[tuple[Prepare]]:
    def prepare(**given: Any) -> Setup:
        return _setup(subject, **given)

    yield (prepare,)


def _setup(
    subject: Subject,
    *,
    shape: ImageShape | None = None,
    seed: int = 0,
    step: int = 0,
    function: Callable[..., Tensor] | None = None,
    x_0: Tensor | None = None,
    schedule: Schedule | None = None,
    cache: Path | None = None,
) -> Setup:
    """An objective, prepared for the images of a batch.

    Args:
        shape: of the images; None for the first of the subject's.
        seed: of images, draws and memory.
        step: the next of ten.
        function: of the denoiser.
        x_0: images instead of made-up ones.
        schedule: instead of the cosine one, of whole times where the objective allows them.
        cache: the cache folder while it prepares; None for an empty one.
    """
    objective: Objective = subject.make()
    facts = subject.facts(ObjectiveInfo) or ObjectiveInfo()
    shape = shape or subject.shapes[0]
    schedule = schedule or cosine_schedule(discrete=not facts.continuous_time)
    count = _ROWS if facts.sets is None else _SETS * facts.sets.rows
    count = count if x_0 is None else len(x_0)
    progress = TrainingProgress(step=step, total_steps=10, epoch=step // 5)
    memory = {
        one.name: noise(count, *(one.shape or shape.as_tuple), seed=seed + 10 + number)
        * (one.initial == "noise")
        for number, one in enumerate(facts.memory)
    }
    batch = _batch(facts, count=count, shape=shape, seed=seed, x_0=x_0)
    with cache_in(cache):
        objective.prepare(
            images=_split_of(batch),
            flips=False,
            device=torch.device("cpu"),
            progress=no_progress,
        )
    average = ScalarDenoiser(schedule, function=function) if facts.average else None
    if average is not None:
        average.theta.requires_grad_(False)
    return Setup(
        objective=objective,
        facts=facts,
        shape=shape,
        denoiser=ScalarDenoiser(schedule, function=function),
        average=average,
        batch=batch,
        draws=draw(
            objective,
            count=count,
            shape=shape,
            schedule=schedule,
            progress=progress,
            generator=generator_for("conformance draws", seed),
            flips=False,
        ),
        memory=memory,
        progress=progress,
    )


def _batch(
    facts: ObjectiveInfo, *, count: int, shape: ImageShape, seed: int, x_0: Tensor | None
) -> Batch:
    index = torch.arange(count)
    images = pictures(count, shape, seed=seed) if x_0 is None else x_0
    if facts.sets is None:
        return Batch(index=index, x_0=images, label=index % _CLASSES, rows=index)
    sets, real = count // facts.sets.rows, facts.sets.real
    label_G = torch.arange(sets) % _CLASSES
    return Batch(
        index=index,
        x_0=images,
        label=label_G.repeat_interleave(facts.sets.rows),
        rows=index,
        sets=RealSets(
            index=count + torch.arange(sets * real).reshape(sets, real),
            x_0=pictures(sets * real, shape, seed=seed + 1).reshape(sets, real, *shape.as_tuple),
            label=label_G,
        ),
    )


def _split_of(batch: Batch) -> InMemorySplit:
    """The images of a batch and of its sets, by their indices."""
    images, labels = [batch.x_0], [batch.label]
    if batch.sets is not None:
        images.append(batch.sets.x_0.flatten(0, 1))
        assert batch.sets.label is not None
        labels.append(batch.sets.label.repeat_interleave(batch.sets.index.shape[1]))
    return InMemorySplit(
        all_images=to_uint8(torch.cat(images)),
        all_labels=torch.cat([label for label in labels if label is not None]),
        class_names=tuple(map(str, range(_CLASSES))),
    )


def _halves(setup: Setup) -> tuple[slice, slice]:
    """The first and the second half of the rows, in whole sets."""
    middle = setup.rows // 2
    return slice(0, middle), slice(middle, setup.rows)


OBJECTIVE: Final = Suite(
    "objective",
    interface=Objective,
    cases=_preparing,
    capabilities={
        "optimum": "the best denoiser of Gaussian images is known, and training finds it",
    },
)


@OBJECTIVE.check(basis=True, cases=lambda subject: [(subject, shape) for shape in subject.shapes])
def steps(subject: Subject, shape: ImageShape) -> None:
    """A step returns a valid outcome for every shape and at every stage of training."""
    for step in _STEPS:
        outcome = _setup(subject, shape=shape, step=step).step()
        loss = outcome.loss.detach()
        assert loss.isfinite(), f"the loss is {float(loss)}"
        if outcome.loss_B is not None:
            mean = outcome.loss_B.detach().mean()
            assert_close(mean, loss, "the loss is not the mean of the rows' losses")


@OBJECTIVE.check()
def draws_are_seeded(prepare: Prepare) -> None:
    """Draws depend only on the generator, and are on its device."""
    first, second, other = (prepare(seed=seed).draws.values for seed in (0, 0, 1))
    assert first.keys() == second.keys(), f"{sorted(first)} were drawn, then {sorted(second)}"
    for name, tensor in first.items():
        message = f"one seed gave two draws of {name}: pass the generator on to torch"
        assert_equal(second[name], tensor, message)
        assert tensor.device.type == "cpu", f"{name} is on {tensor.device}"
    differ = not first or any(not torch.equal(tensor, other[n]) for n, tensor in first.items())
    assert differ, "two seeds of the generator gave the same draws"


@OBJECTIVE.check()
def draws_nothing_in_a_step(prepare: Prepare) -> None:
    """A step neither depends on torch's global random state nor changes it."""
    first = prepare().step()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    second = prepare().step()
    message = "a step drew from torch's own generator: draw in `draw`, from its generator"
    assert torch.equal(before, torch.get_rng_state()), message
    assert_equal(second.loss.detach(), first.loss.detach(), "the loss differs the second time")


@OBJECTIVE.check()
def shares_its_work(prepare: Prepare) -> None:
    """Loss and gradient of a batch are the means of those of its two halves."""
    whole = prepare()
    outcome = whole.step()
    losses, gradients = [], []
    for part in _halves(whole):
        half = prepare()
        of_half = half.step_on(part)
        losses.append(of_half.loss.detach())
        gradients.append(half.gradient(of_half))
    remedy = "let the loss of a row, or of a set, depend on nothing else in the batch"
    loss = outcome.loss.detach()
    assert_close(torch.stack(losses).mean(), loss, f"losses differ: {remedy}")
    gradient = whole.gradient(outcome)
    assert_close(torch.stack(gradients).mean(), gradient, f"gradients differ: {remedy}")


@OBJECTIVE.check()
def memory_of_each_row(prepare: Prepare) -> None:
    """The memory written for a row depends only on that row, or on its set."""
    whole = prepare()
    if not whole.facts.memory:
        pytest.skip("it has no memory")
    outcome = whole.step()
    assert outcome.memory, "nothing of the memory is ever written"
    for part in _halves(whole):
        of_half = prepare().step_on(part)
        for name, tensor in outcome.memory.items():
            assert_close(of_half.memory[name], tensor[part], f"what {name} remembers differs")


@OBJECTIVE.check()
def gradient(prepare: Prepare) -> None:
    """The loss has a finite gradient that reaches the denoiser's parameters."""
    for step in _STEPS:
        setup = prepare(step=step)
        found = setup.gradient(setup.step())
        assert found.isfinite(), f"the gradient is {float(found)} at step {step}"
        assert found != 0, f"no gradient reaches the denoiser at step {step}"


@OBJECTIVE.check()
def evaluations(prepare: Prepare) -> None:
    """Its info states how often the network is evaluated, with gradient and without."""
    setup = prepare()
    setup.step()
    found = {True: 0.0, False: 0.0}
    for call in setup.denoiser.calls:
        found[call.gradient] += len(call.cache.x_t) / setup.rows
    for call in () if setup.average is None else setup.average.calls:
        found[False] += len(call.cache.x_t) / setup.rows
    facts = setup.facts
    said = {True: facts.evaluations, False: facts.evaluations_without_gradient}
    for gradient, how in ((True, "with"), (False, "without")):
        assert math.isclose(found[gradient], said[gradient], abs_tol=1e-6), (
            f"{found[gradient]:g} evaluations {how} gradient for each row, but its info says "
            f"{said[gradient]:g}: correct ObjectiveInfo, by which the dry run counts"
        )


@OBJECTIVE.check()
def gives_what_it_says(prepare: Prepare) -> None:
    """The network gets what the info says: x̂, a second time in [0, t], T alone; labels always."""
    setup = prepare()
    facts, last = setup.facts, setup.denoiser.schedule.last_time
    setup.step()
    for call in setup.denoiser.calls:
        t, second = call.cache.t, call.cache.second_time
        given = call.estimate is not None
        assert given == (facts.estimate != "none"), (
            f"x̂ is {'given' if given else 'not given'}, but the info says {facts.estimate!r}"
        )
        assert facts.times == "all" or bool((t == last).all()), (
            f'it trains at t = {t.tolist()}, but its info says times = "last"'
        )
        assert (second is not None) == facts.second_time, (
            f"a second time is {'not given' if second is None else 'given'}, but the info says "
            f"{facts.second_time}"
        )
        if second is not None:
            assert ((second >= 0) & (second <= t)).all(), "a second time lies outside [0, t]"
        assert call.cache.label is not None, "the labels were left out"
        assert ((t > 0) & (t <= last)).all(), f"the network sees t = {t.tolist()}"


@OBJECTIVE.check()
def every_class(prepare: Prepare) -> None:
    """The network gets the labels of the batch, each class as it is."""
    setup = prepare()
    setup.step()
    assert setup.batch.label is not None
    wanted = set(setup.batch.label.tolist())
    given = {
        int(label)
        for call in setup.denoiser.calls
        if call.cache.label is not None
        for label in call.cache.label
    }
    assert given >= wanted, (
        f"of the classes {sorted(wanted)} the network got {sorted(given)}: pass on the labels of "
        "the batch"
    )


@OBJECTIVE.check()
def compares_with_the_images(prepare: Prepare) -> None:
    """The loss depends on x_0, or on the real sets, beside what the network sees of them."""
    # A denoiser that sees nothing can still be told good from bad by the images.  One that learns
    # from its own estimates alone, as consistency training does, sees the images in x_t.
    facts = prepare().facts
    learns_from_itself = facts.average or facts.evaluations_without_gradient > 0
    function = None if learns_from_itself else _sees_nothing
    first, second = prepare(function=function), prepare(function=function)
    other = pictures(second.rows, second.shape, seed=7)
    sets = second.batch.sets
    if sets is not None:
        real = pictures(sets.index.numel(), second.shape, seed=8)
        sets = evolve(sets, x_0=real.reshape(sets.x_0.shape))
    second = evolve(second, batch=evolve(second.batch, x_0=other, sets=sets))
    assert float(first.step().loss.detach()) != float(second.step().loss.detach()), (
        "other images give the same loss: compare the estimate with batch.x_0, or with the real "
        "images of batch.sets"
    )


def _sees_nothing(*, x_t: Tensor, **_: object) -> Tensor:
    return torch.full_like(x_t, 0.1)


@OBJECTIVE.check()
def inputs_unchanged(prepare: Prepare) -> None:
    """A step does not modify images, draws or memory."""
    setup = prepare()
    given = {"x_0": setup.batch.x_0, **setup.draws.values, **setup.memory}
    kept = {name: tensor.clone() for name, tensor in given.items()}
    setup.step()
    for name, tensor in kept.items():
        assert_equal(given[name], tensor, f"{name} was changed")


@OBJECTIVE.check()
def state_round_trip(prepare: Prepare) -> None:
    """With its state restored, another instance makes the same next step."""
    first, second = prepare(), prepare()
    first.step()
    first.objective.after_step(backbone=None, progress=first.progress)  # type: ignore[arg-type]
    second.objective.restore({name: t.clone() for name, t in first.objective.state().items()})
    assert_equal(
        second.step().loss.detach(),
        first.step().loss.detach(),
        "the next step's loss differs: give all that a step depends on in `state`, and restore it",
    )


@OBJECTIVE.check()
def prepares_once(prepare: Prepare) -> None:
    """`prepare` in the same cache, as in another process or a resumed run, changes no step."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (prepare(cache=Path(folder)).step() for _ in range(2))
    message = "the loss differs: read what was prepared before from the cache"
    assert_equal(second.loss.detach(), first.loss.detach(), message)


@OBJECTIVE.check()
def diagnoses(prepare: Prepare) -> None:
    """`diagnose` returns finite numbers, among them those that its info names."""
    setup = prepare()
    found = setup.objective.diagnose(setup.diagnosis())
    for name, number in found.items():
        finite = type(number) is float and math.isfinite(number)
        assert finite, f"{name} is {number!r}, not a finite float"
    said = setup.facts.diagnosis
    if said is not None:
        named = [name for name, _ in (*said.curves, *([said.floor] if said.floor else []))]
        missing = [name for name in named if name not in found]
        assert not missing, f"its info names {missing}, which it does not measure"


@OBJECTIVE.check(capability="optimum")
def optimum(prepare: Prepare) -> None:
    """At the best denoiser of x_0 ~ N(0, 1/4) the expected gradient is zero, to 4 deviations.

    At a denoiser that is too large it points back.
    """
    setup = prepare()
    schedule = setup.denoiser.schedule
    best = setup.objective.optimum(variance=_VARIANCE, schedule=schedule)
    if best is None and setup.facts.continuous_time:  # it may be known on the linear path alone
        schedule = linear_schedule()
        best = setup.objective.optimum(variance=_VARIANCE, schedule=schedule)
    if best is None:
        pytest.skip("it does not say which denoiser is best")
    prepare = partial(prepare, schedule=schedule)
    mean, deviation = _expected_gradient(prepare, best)
    assert abs(mean) <= _DEVIATIONS * deviation, (
        f"it is {mean:.4g} with a deviation of {deviation:.2g}: compare the loss with its formula "
        "(signs, weights, and which time belongs to what)"
    )
    # Zero within the noise says nothing where the noise would hide any mistake.
    mean, deviation = _expected_gradient(prepare, best, scale=_WRONG_SCALE)
    if abs(mean) <= _DEVIATIONS * deviation:
        pytest.skip(
            f"its gradient is too noisy to tell: {mean:.4g} with a deviation of {deviation:.2g} "
            f"for a denoiser that is {_WRONG_SCALE} times too large; few times may weigh too much"
        )
    assert mean > 0, (
        f"for a denoiser that is {_WRONG_SCALE} times too large the gradient is {mean:.4g}: "
        "training would make it larger still; correct the sign of the loss"
    )


def _expected_gradient(
    prepare: Prepare, best: Callable[..., Tensor], *, scale: float = 1.0
) -> tuple[float, float]:
    """The gradient at `scale` times the best denoiser: its mean over batches, and its deviation."""

    def scaled(*, label: object, **given: Tensor) -> Tensor:
        del label
        return scale * best(**given)

    gradients = []
    for seed in range(_OPTIMUM_BATCHES):
        generator = generator_for("conformance optimum", seed)
        x_0 = math.sqrt(_VARIANCE) * torch.randn(_OPTIMUM_ROWS, 1, 1, 1, generator=generator)
        setup = prepare(shape=_ONE_PIXEL, seed=100 * seed, x_0=x_0, function=scaled)
        gradients.append(setup.gradient(setup.step()))
    found = torch.stack(gradients).double()
    return float(found.mean()), float(found.std() / math.sqrt(len(found)))
