"""Objectives, optimizers, learning rates and observers with planted mistakes.

Legend: B rows.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from attrs import evolve
from torch import Tensor, nn

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import DiagnosisInfo, ImageShape, MemoryField, ObjectiveInfo, SetInfo
from dddm.interfaces.objective import (
    Diagnosis,
    Objective,
    Outcome,
    TrainingProgress,
    TrainingStep,
)
from dddm.interfaces.observer import (
    CheckpointSaved,
    Event,
    Observer,
    RunStarted,
    RunStopped,
    StepDone,
)
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.interfaces.schedule import Schedule, expand_B111
from dddm.support.cache import cache_folder
from planted.beside_torch import BesideTorch
from planted.bug import Bug, Planter, first, given, then
from planted.rates import Linear, RateOptions

FACTS: Final = ObjectiveInfo(
    memory=(MemoryField(name="estimate"),),
    estimate="estimate",
    diagnosis=DiagnosisInfo(title="Size", measured="size", curves=(("size", "of x̂"),)),
)


class Remembering(Objective):
    """(D(x̂, x_t, t) − x_0)², x̂ being the estimate of the step before."""

    def __init__(self, options: NoOptions) -> None:
        self.steps = torch.zeros(())

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        return {
            "t": schedule.draw_times(count=count, generator=generator),
            "noise": torch.randn(count, *shape.as_tuple, generator=generator),
        }

    def x_t(self, step: TrainingStep) -> Tensor:
        draws, schedule = step.draws, step.denoiser.schedule
        return schedule.diffuse(x_0=step.batch.x_0, t=draws["t"], noise=draws["noise"])

    def label(self, step: TrainingStep) -> Tensor | None:
        return step.batch.label

    def remembered(self, step: TrainingStep) -> Tensor | None:
        return step.memory["estimate"]

    def target(self, x_0: Tensor) -> Tensor:
        return x_0

    def weighted(self, loss_B: Tensor, step: TrainingStep) -> Tensor:
        return loss_B * (1 + self.steps)

    def estimate(self, step: TrainingStep) -> Tensor:
        return step.denoiser.evaluate(
            x_t=self.x_t(step),
            t=step.draws["t"],
            label=self.label(step),
            estimate=self.remembered(step),
        )

    def step(self, given: TrainingStep) -> Outcome:
        estimate = self.estimate(given)
        assert given.metric is not None
        target = self.target(given.batch.x_0)
        loss_B = self.weighted(given.metric.distance(estimate=estimate, target=target), given)
        return Outcome(loss=loss_B.mean(), loss_B=loss_B, memory={"estimate": estimate.detach()})

    def after_step(self, *, backbone: Backbone, progress: TrainingProgress) -> None:
        self.steps = self.steps + 1

    def state(self) -> Mapping[str, Tensor]:
        return {"steps": self.steps}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.steps = state["steps"]

    def diagnose(self, given: Diagnosis) -> Mapping[str, float]:
        return {"size": float(given.memory["estimate"].square().mean())}

    def optimum(self, *, variance: float, schedule: Schedule) -> Callable[..., Tensor]:
        def best(*, x_t: Tensor, t: Tensor, **_: Any) -> Tensor:
            a_B, s_B = schedule.signal(t), schedule.noise(t)
            return expand_B111(self.gain(a_B, s_B, variance)).to(x_t.dtype) * x_t

        return best

    def gain(self, a_B: Tensor, s_B: Tensor, variance: float) -> Tensor:
        return variance * a_B / (variance * a_B.square() + s_B.square())


class ComparingSets(Objective):
    """The squared difference of the means of a set and of real images."""

    def __init__(self, options: NoOptions) -> None:
        pass

    def draw(
        self,
        *,
        count: int,
        shape: ImageShape,
        schedule: Schedule,
        progress: TrainingProgress,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        return {"noise": torch.randn(count, *shape.as_tuple, generator=generator)}

    def generated(self, given: TrainingStep) -> Tensor:
        schedule, noise = given.denoiser.schedule, given.draws["noise"]
        return given.denoiser.evaluate(
            x_t=schedule.prior(noise=noise),
            t=schedule.grid(steps=1).expand(len(noise)),
            label=given.batch.label,
            estimate=None,
        )

    def step(self, given: TrainingStep) -> Outcome:
        sets = given.batch.sets
        assert sets is not None
        of_sets = self.generated(given).reshape(len(sets.index), 3, -1).mean(1)
        return Outcome(loss=(of_sets - sets.x_0.flatten(2).mean(1)).square().mean(1).mean())


def across_sets(self: Any, step: TrainingStep) -> Outcome:
    sets = step.batch.sets
    assert sets is not None
    away = self.generated(step).flatten(1).mean(0) - sets.x_0.flatten(0, 1).flatten(1).mean(0)
    return Outcome(loss=away.square().mean())


def global_noise(self: Any, *, count: int, shape: ImageShape, **rest: Any) -> dict[str, Tensor]:
    drawn = Remembering.draw(self, count=count, shape=shape, **rest)
    return {**drawn, "noise": torch.randn(count, *shape.as_tuple)}


def without_memory(self: Any, step: TrainingStep) -> Outcome:
    return replace(Remembering.step(self, step), memory={"estimate": self.estimate(step)})


def prepared_anew(self: Any, **_: Any) -> None:
    """Prepare another thing where there is one already."""
    made = cache_folder() / "planted"
    self.prepared_before = made.exists()
    made.parent.mkdir(parents=True, exist_ok=True)
    made.touch()


def weighed_by_preparation(self: Any, step: TrainingStep) -> Outcome:
    found = Remembering.step(self, step)
    if not self.prepared_before:
        return found
    assert found.loss_B is not None
    return replace(found, loss=2 * found.loss, loss_B=2 * found.loss_B)


def write_into_images(self: Any, step: TrainingStep) -> Tensor:
    x_t = Remembering.x_t(self, step)
    step.batch.x_0.mul_(1 + 1e-3)
    return x_t


def described(facts: ObjectiveInfo) -> dict[str, Any]:
    return {"describe": lambda _options: facts}


SETS: Final = described(ObjectiveInfo(sets=SetInfo(rows=3, real=5), metric=False))
objective = Planter(Kind.OBJECTIVE, Remembering, described(FACTS))

TOO_NOISY: Final = objective(
    "divides-by-time",
    register=described(evolve(FACTS, continuous_time=True)),
    weighted=lambda self, loss_B, step: loss_B / step.draws["t"].clamp(min=0.01).square().float(),
)
"""Correct, but of times up to 1000 those below 1 outweigh all others, and hide any mistake."""

OBJECTIVES: Final[list[Bug]] = [
    objective("right"),
    objective("right-sets", base=ComparingSets, register=SETS),
    objective("across-sets", "shares-its-work", base=ComparingSets, register=SETS,
              step=across_sets),
    objective("sum-for-mean", "steps", step=then(lambda o: replace(o, loss=o.loss_B.sum()))),
    objective("without-gradient", "steps", step=then(lambda o: replace(o, loss=o.loss.detach()))),
    objective("keeps-the-graph", "steps", step=without_memory),
    objective("global-noise", "draws-are-seeded", draw=global_noise),
    objective("constant-noise", "draws-are-seeded",
              draw=given(generator=lambda _: torch.Generator().manual_seed(0))),
    objective("draws-in-its-step", "draws-nothing-in-a-step",
              x_t=then(lambda x_t: x_t + 0.1 * torch.randn_like(x_t))),
    objective("normalises-by-the-batch", "shares-its-work", step=then(
        lambda o: replace(o, loss=o.loss / o.loss.detach(), loss_B=None))),
    objective("mixes-rows", "shares-its-work memory-of-each-row",
              estimate=then(lambda x: x - x.mean(0, keepdim=True))),
    objective("stops-gradient", "gradient", step=then(
        lambda o: replace(o, loss=o.loss - o.loss + o.loss.detach()))),
    objective("evaluates-twice", "evaluations", step=first(lambda self, step: self.estimate(step))),
    objective("forgets-the-estimate", "gives-what-it-says", remembered=lambda self, step: None),
    objective("forgets-the-labels", "gives-what-it-says", label=lambda self, step: None),
    objective("collapses-classes", "every-class",
              label=lambda self, step: step.batch.label.clamp(max=1)),
    objective("ignores-the-images", "compares-with-the-images",
              target=lambda self, x_0: torch.zeros_like(x_0), optimum=lambda self, **_: None),
    objective("ignores-the-real-images", "compares-with-the-images",
              base=ComparingSets, register=SETS, step=lambda self, given: (
                  Outcome(loss=self.generated(given).square().mean()))),
    objective("reversed-loss", "optimum", step=then(
        lambda o: replace(o, loss=-o.loss, loss_B=-o.loss_B))),
    objective("writes-into-images", "inputs-unchanged", x_t=write_into_images),
    objective("forgets-its-state", "state-round-trip",
              state=lambda self: {}, restore=lambda self, state: None),
    objective("prepares-anew", "prepares-once", prepare=prepared_anew, step=weighed_by_preparation),
    objective("measures-something-else", "diagnoses",
              diagnose=lambda self, given: {"length": float("nan")}),
    # Its optimum: v/(v a² + s) for v a/(v a² + s²).
    objective("forgets-the-square", "optimum", gain=lambda self, a_B, s_B, variance: (
        variance * a_B / (variance * a_B.square() + s_B))),
    objective("doubles-the-target", "optimum", target=lambda self, x_0: 2 * x_0),
]  # fmt: skip


class Descent(torch.optim.Optimizer):
    """Momentum and decoupled weight decay, with a step count."""

    def __init__(
        self,
        options: NoOptions,
        /,
        *,
        parameters: Sequence[nn.Parameter],
        learning_rate: float,
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                gradient = self.gradient(p)
                if gradient is not None:
                    state = self.state[p]
                    if not state:
                        state.update(sum=torch.zeros_like(p), steps=0)
                    state["steps"] += 1
                    state["sum"].mul_(0.5).add_(gradient)
                    self.move(p, self.rate(p, group), state["sum"])

    def gradient(self, p: nn.Parameter) -> Tensor | None:
        return p.grad

    def rate(self, p: nn.Parameter, group: dict[str, Any]) -> float:
        rate: float = group["lr"]
        return rate

    def move(self, p: nn.Parameter, rate: float, along: Tensor) -> None:
        p.mul_(1 - 0.1 * rate).sub_(rate * along)


def keep_norms(self: Any, p: nn.Parameter, _group: Any) -> None:
    self.state[p].setdefault("norms", []).append(float(p.norm()))


def through_memory(self: Any, p: nn.Parameter, rate: float, along: Tensor) -> None:
    p.data.as_strided((p.numel(),), (1,)).sub_(rate * along.reshape(-1))


optimizer = Planter(Kind.OPTIMIZER, Descent)
OPTIMIZERS: Final[list[Bug]] = [
    optimizer("right"),
    optimizer("leaves-out-the-last", "over-its-parameters",
              __init__=given(parameters=lambda parameters: parameters[:-1])),
    optimizer("needs-a-closure", "steps-on-gradients",
              step=first(lambda self, closure=None: closure())),
    optimizer("matrices-only", "steps-on-gradients", move=lambda self, p, rate, along: (
        Descent.move(self, p, rate, along) if p.ndim >= 2 else None)),
    optimizer("ascends", "lowers-a-quadratic",
              move=lambda self, p, rate, along: p.add_(rate * along)),
    optimizer("keeps-its-first-rate", "follows-the-rate no-rate-no-change",
              rate=lambda self, p, group: self.defaults["lr"]),
    optimizer("decays-at-rate-0", "no-rate-no-change",
              move=lambda self, p, rate, along: p.mul_(1 - 1e-4).sub_(rate * along)),
    optimizer("moves-without-gradient", "leaves-what-has-no-gradient", gradient=lambda self, p: (
        torch.zeros_like(p) if p.grad is None and self.state[p] else p.grad)),
    optimizer("draws", "always-the-same", move=lambda self, p, rate, along: (
        p.sub_(rate * (along + 0.01 * torch.randn(p.shape))))),
    optimizer("keeps-a-list", "state-can-be-saved goes-on-exactly", rate=first(keep_norms)),
    optimizer("counts-outside-its-state", "goes-on-exactly",
              setup=lambda self: setattr(self, "counter", itertools.count(1)),
              rate=lambda self, p, group: group["lr"] / next(self.counter)),
    optimizer("assumes-memory-order", "any-memory-order", move=through_memory),
    # It says that it handles overflows, as fused kernels do, and does not.
    optimizer("steps-through-overflow", "leaves-out-overflows", _step_supports_amp_scaling=True,
              gradient=lambda self, p: p.grad if p.grad is None else p.grad.nan_to_num(0, 1, -1)),
    optimizer("moves-only-on-the-cpu", "devices", move=lambda self, p, rate, along: (
        Descent.move(self, p, 0.0 if p.is_cuda else rate, along))),
]  # fmt: skip


def divided_by_calls(self: Any, **step: int) -> float:
    self.calls = getattr(self, "calls", 0) + 1
    return Linear.at(self, **step) / float(self.calls)


learning_rate = Planter(Kind.LEARNING_RATE, Linear, {"options": RateOptions})
RATES: Final[list[Bug]] = [
    learning_rate("right"),
    learning_rate("divides-by-the-last-step", "finite", at=lambda self, *, step, total_steps: (
        self.options.rate * (1 - step / (total_steps - 1)))),
    learning_rate("falls-below-zero", "finite", at=then(lambda rate: rate - 0.01)),
    learning_rate("always-zero", "trains", at=then(lambda rate: 0.0)),
    learning_rate("counts-its-calls", "keeps-nothing", at=divided_by_calls),
    learning_rate("does-not-warm-up", "warms-up", warm=lambda self, step: 1.0),
    learning_rate("stays-cold", "warms-up",
                  warm=lambda self, step: 0.5 if self.options.warmup_steps else 1.0),
    learning_rate("beside-torch", "needs-no-torch", base=BesideTorch),
]  # fmt: skip


class Notes(Observer):
    """A line in a file for each event."""

    def __init__(self, options: NoOptions, *, folder: Path) -> None:
        self.folder = folder
        self.file: Any = (folder / "notes.txt").open("a", encoding="utf-8")

    def on_event(self, event: Event) -> None:
        self.file.write(f"{event}\n")

    def close(self) -> None:
        self.file.close()


class InAThread(Observer):
    """The same by a thread of its own."""

    def __init__(self, options: NoOptions, *, folder: Path) -> None:
        self.folder = folder
        self.pool = ThreadPoolExecutor(1)
        self.pending: list[Any] = []

    def on_event(self, event: Event) -> None:
        self.pending.append(self.pool.submit(self.write, event))

    def write(self, event: Event) -> None:
        try:
            with (self.folder / "notes.txt").open("a", encoding="utf-8") as file:
                file.write(f"{event}\n")
        except OSError as error:
            self.failed(error)

    def failed(self, error: OSError) -> None:
        raise error

    def close(self) -> None:
        self.pool.shutdown()
        for future in self.pending:
            future.result()


class OpensLate(Notes):
    def __init__(self, options: NoOptions, *, folder: Path) -> None:
        self.folder = folder

    def on_event(self, event: Event) -> None:
        with (self.folder / "notes.txt").open("a", encoding="utf-8") as self.file:
            super().on_event(event)


KEPT: Final[list[Any]] = []
"""Files that no observer closes: a test must, or Python warns of them."""
STOP: Final = threading.Event()


def fail_at_the_end(_: Any, event: Event) -> None:
    if isinstance(event, RunStopped):
        raise TypeError("the run stopped")


def need_the_start(self: Any, event: Event) -> None:
    if isinstance(event, RunStarted):
        self.total = event.total_steps
    if isinstance(event, StepDone):
        self.file.write(f"{event.step / self.total:.0%}\n")


def make_a_folder(_: Any, event: Event) -> None:
    if isinstance(event, CheckpointSaved):
        event.folder.parent.parent.joinpath("seen").mkdir()


def overwrite_scores(self: Any, event: Event) -> None:
    if isinstance(event, RunStopped):
        (self.folder.parent.parent / "scores.json").write_text("{}", encoding="utf-8")


def remove_the_report(self: Any, event: Event) -> None:
    if isinstance(event, RunStopped):
        (self.folder.parent.parent / "report.html").unlink(missing_ok=True)


def begin_again(self: Any) -> None:
    self.file.close()
    self.file = (self.folder / "notes.txt").open("w", encoding="utf-8")


def know_all_events(_: Any, event: Event) -> None:
    if not type(event).__module__.startswith("dddm.interfaces"):
        raise TypeError("unknown event")


def start_a_thread(_: Any) -> None:
    STOP.clear()
    threading.Thread(target=STOP.wait, daemon=True, name="left-running").start()


def sleep_at_a_step(_: Any, event: Event) -> None:
    if isinstance(event, StepDone):
        time.sleep(0.06)


observer = Planter(Kind.OBSERVER, Notes)
OBSERVERS: Final[list[Bug]] = [
    observer("right"),
    observer("fails-at-the-end", "takes-every-event", on_event=first(fail_at_the_end)),
    observer("needs-the-start", "takes-any-event-first", on_event=first(need_the_start)),
    observer("once-in-a-folder", "takes-a-resumed-run", on_event=first(make_a_folder)),
    observer("knows-all-events", "passes-over-the-unknown", on_event=first(know_all_events)),
    observer("writes-into-the-run", "writes-into-its-folder", on_event=first(overwrite_scores)),
    observer("removes-from-the-run", "writes-into-its-folder", on_event=first(remove_the_report)),
    observer("begins-again", "keeps-what-it-wrote", setup=begin_again),
    observer("in-a-thread", base=InAThread),
    observer("swallows-in-its-thread", "reports-failures", base=InAThread,
             failed=lambda self, error: None),
    observer("forgets-its-future", "reports-failures", base=InAThread,
             close=lambda self: self.pool.shutdown()),
    observer("opens-late", "closes-without-a-run", base=OpensLate),
    observer("keeps-its-file", "lets-go", close=lambda self: KEPT.append(self.file)),
    observer("keeps-its-thread", "lets-go", setup=start_a_thread),
    observer("slow", "quick", on_event=first(sleep_at_a_step)),
    observer("prints", "leaves-stdout-alone", on_event=first(lambda _, event: print(event))),  # noqa: T201
]  # fmt: skip
BUGS: Final = [*OBJECTIVES, *OPTIMIZERS, *RATES, *OBSERVERS]
