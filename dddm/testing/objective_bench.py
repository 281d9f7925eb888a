"""A denoiser with two numbers to learn, and steps as training makes them, to try objectives on.

Legend: B rows, G sets of n rows, m real images of a set.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, final

import torch
from attrs import define, evolve, field, frozen
from torch import Tensor

from dddm.core.draws import Draws, draw
from dddm.core.step import StepParts, make_step
from dddm.interfaces.info import ImageShape, ObjectiveInfo
from dddm.interfaces.metric import Metric
from dddm.interfaces.objective import (
    Batch,
    Diagnosis,
    Objective,
    Outcome,
    RealSets,
    TrainingProgress,
)
from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm.support.noise import generator_for
from dddm.testing.material import noise, pictures
from dddm.testing.plain_denoiser import PlainSchedule
from dddm.testing.subject import Subject

CLASSES = 3
SETS = 4
"""Sets of a batch, for an objective that compares them."""
ROWS = 6


@final
class SquaredError(Metric):
    """(a − b)², mean over pixels: of it the best estimate is the mean."""

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        """One number for each image, (B,)."""
        return (estimate - target).square().flatten(1).mean(1)


@final
@frozen(kw_only=True, eq=False)
class Call:
    """What one evaluation was given, and whether its gradient was wanted."""

    x_t: Tensor
    t: Tensor
    label: Tensor | None
    second_time: Tensor | None
    estimate: Tensor | None
    gradient: bool


Function = Callable[..., Tensor]


@final
class TinyDenoiser(Denoiser):
    """f = θ · function(…), θ one number to learn; without a function a fixed mixture of all given.

    Attributes:
        calls: every evaluation, in order.
    """

    def __init__(self, schedule: Schedule, *, function: Function | None = None) -> None:
        self._schedule = schedule
        self._function = _mixture if function is None else function
        self.theta = torch.ones((), requires_grad=True)
        self.calls: list[Call] = []

    @property
    def schedule(self) -> Schedule:
        """The one that it was made with."""
        return self._schedule

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> dict[str, Any]:
        """What it is given."""
        return {"x_t": x_t, "t": t, "label": label, "second_time": second_time}

    def refine(self, cache: dict[str, Any], *, estimate: Tensor | None) -> Tensor:
        """θ times the function."""
        given = {**cache, "estimate": estimate}
        self.calls.append(Call(**given, gradient=torch.is_grad_enabled()))
        found: Tensor = self.theta * self._function(**given)
        return found

    def select(self, cache: dict[str, Any], *, index: Tensor) -> dict[str, Any]:
        """The same of some images."""
        return {name: None if v is None else v[index] for name, v in cache.items()}


def _mixture(
    *,
    x_t: Tensor,
    t: Tensor,
    label: Tensor | None,
    second_time: Tensor | None,
    estimate: Tensor | None,
) -> Tensor:
    """Depends on everything that is given, smoothly, each image on its own."""
    mixed = 0.4 * x_t.tanh() + 0.1 * expand_B111(t.to(x_t.dtype) / 1000).cos()
    if second_time is not None:
        mixed = mixed + 0.1 * expand_B111(second_time.to(x_t.dtype) / 1000).sin()
    if estimate is not None:
        mixed = mixed + 0.3 * estimate.tanh()
    return mixed if label is None else mixed + 0.05 * label.reshape(-1, 1, 1, 1)


@final
@define(kw_only=True)
class Bench:
    """One objective, and all that a step of it needs.

    Attributes:
        derivatives: how often a step took a forward-mode derivative.
        targets: how many distances of an estimate with gradient a step took, at most.
    """

    objective: Objective
    facts: ObjectiveInfo
    shape: ImageShape
    schedule: Schedule
    denoiser: TinyDenoiser
    average: TinyDenoiser | None
    batch: Batch
    draws: Draws
    memory: Mapping[str, Tensor]
    progress: TrainingProgress
    derivatives: int = field(default=0)

    @property
    def rows(self) -> int:
        """B."""
        return len(self.batch.rows)

    def step(self) -> Outcome:
        """One step on all rows."""
        return self._step(self.batch, self.draws, self.memory)

    def some(self, part: slice) -> Outcome:
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

    def diagnosis(self) -> Diagnosis:
        """Some images in eval mode."""
        return Diagnosis(
            denoiser=self.denoiser,
            batch=self.batch,
            memory=self.memory,
            progress=self.progress,
            noise=lambda purpose: noise(
                self.rows, *self.shape.as_tuple, seed=sum(purpose.encode())
            ),
        )


def facts_of(subject: Subject) -> ObjectiveInfo:
    """What the objective says that it needs."""
    said = subject.component.info(ObjectiveInfo, subject.use.options)
    return said or ObjectiveInfo()


def bench(
    subject: Subject,
    *,
    shape: ImageShape | None = None,
    seed: int = 0,
    step: int = 0,
    function: Function | None = None,
    x_0: Tensor | None = None,
    rows: int | None = None,
) -> Bench:
    """An objective with a batch.

    Args:
        shape: of the images; None for the first of the subject's.
        seed: of images, draws and memory.
        step: of ten, which is made.
        function: of the denoiser.
        x_0: images, in place of made-up ones.
        rows: of the batch; None for a few.
    """
    objective: Objective = subject.make()
    facts = facts_of(subject)
    shape = shape or subject.shapes[0]
    schedule = PlainSchedule(continuous=facts.continuous_time)
    count = rows or (ROWS if facts.sets is None else SETS * facts.sets.rows)
    progress = TrainingProgress(step=step, total_steps=10, epoch=step // 5)
    fields = {
        one.name: (
            noise(count, *(one.shape or shape.as_tuple), seed=seed + 10 + number)
            if one.initial == "noise"
            else torch.zeros(count, *(one.shape or shape.as_tuple))
        )
        for number, one in enumerate(facts.memory)
    }
    draws = draw(
        objective,
        count=count,
        shape=shape,
        schedule=schedule,
        progress=progress,
        generator=generator_for("conformance draws", seed),
        flips=False,
    )
    return Bench(
        objective=objective,
        facts=facts,
        shape=shape,
        schedule=schedule,
        denoiser=TinyDenoiser(schedule, function=function),
        average=_average(schedule, function) if facts.average else None,
        batch=_batch(facts, count=count, shape=shape, seed=seed, x_0=x_0),
        draws=draws,
        memory=fields,
        progress=progress,
    )


def _average(schedule: Schedule, function: Function | None) -> TinyDenoiser:
    averaged = TinyDenoiser(schedule, function=function)
    averaged.theta = torch.ones(())
    return averaged


def _batch(
    facts: ObjectiveInfo, *, count: int, shape: ImageShape, seed: int, x_0: Tensor | None
) -> Batch:
    index = torch.arange(count)
    images = pictures(count, shape, seed=seed) if x_0 is None else x_0
    if facts.sets is None:
        return Batch(index=index, x_0=images, label=index % CLASSES, rows=index)
    sets = count // facts.sets.rows
    label_G = torch.arange(sets) % CLASSES
    real = facts.sets.real
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


def halves(made: Bench) -> Iterator[slice]:
    """The first and the second half of the rows, in whole sets."""
    middle = made.rows // 2
    yield slice(0, middle)
    yield slice(middle, made.rows)
