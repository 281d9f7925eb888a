"""Runs from Python: `dddm.train(recipe)` does what `dddm run` does; `dddm.Run` is what it left."""

import html
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass  # pandas makes tables of these
from pathlib import Path
from typing import Final, final

import torch

from dddm.errors import StoppedEarly, UsageError
from dddm.evaluate.record import read_scores
from dddm.generate.trained import Generator, folder_of, load
from dddm.interfaces.observer import Event, Observer
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.report.history import read_history
from dddm.support.quantities import counted
from dddm.training import checkpoint as checkpoints
from dddm.training.context import open_run
from dddm.training.events import Subscriber, subscribers_for
from dddm.training.stopping import StopRequest, stop_on_signals
from dddm.workflow.run import run

_PARENT: Final = Path("runs")


@final
@dataclass(frozen=True, kw_only=True)
class Score:
    """One number about one sampler at one number of steps.

    Attributes:
        name: with features and number of images, such as `fd-digits-classifier@1500`.
        better: `less`, `more` or `neither`.
        evaluations: of the network, for one image.
        deviation: over several sets of samples, of which `value` is the mean; None for one set.
    """

    name: str
    value: float
    better: str
    sampler: str
    steps: int
    evaluations: int
    images: int
    deviation: float | None


@final
class Run:
    """A run folder: what is there of a run, read when it is asked for.

    Attributes:
        folder: of the run.

    Args:
        folder: as for `dddm.load`; None for the newest under `./runs`.

    Raises:
        UsageError: if there is no run.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._files = folder_of(folder, samples=True)
        self.folder = self._files.path
        self._source = self.folder if folder is None else folder

    @property
    def recipe(self) -> Recipe:
        """What the run does, with every default filled in."""
        return read_recipe(self._files.recipe, catalogue=load_catalogue())

    @property
    def losses(self) -> dict[int, float]:
        """Mean over the batch, by step from 1."""
        return read_history(self._files.events).losses

    @property
    def scores(self) -> list[Score]:
        """What the samples scored, in the order of the recipe; empty before they are.

        Raises:
            DataError: if the file is damaged.
        """
        return [
            Score(
                name=one.name,
                value=one.value,
                better=one.measure.better,
                sampler=one.sampler,
                steps=one.steps,
                evaluations=one.evaluations,
                images=one.images,
                deviation=one.deviation,
            )
            for one in read_scores(self._files.scores)
        ]

    @property
    def report(self) -> Path | None:
        """The HTML page; None before it is written."""
        return self._files.report if self._files.report.exists() else None

    def load(
        self, *, device: str = "auto", ema: float | None = None, best: bool = False
    ) -> Generator:
        """Its generator; see `dddm.load`."""
        return load(self._source, device=device, ema=ema, best=best)

    def __repr__(self) -> str:
        saved = checkpoints.list_checkpoints(self._files.checkpoints)
        step = checkpoints.step_of(saved[0]) if saved else 0
        end = "" if self.report is None else ", with report"
        return f"<Run {self.folder}: {counted(step, 'step')}{end}>"

    def _repr_html_(self) -> str:
        text = html.escape(repr(self))
        if self.report is None:
            return text
        return f'{text}: <a href="{html.escape(str(self.report))}">report</a>'


@final
class _Callback(Observer):
    """Calls a function; what that raises stops the run and is kept."""

    def __init__(self, function: Callable[[Event], object]) -> None:
        self._function = function
        self.raised: BaseException | None = None

    def on_event(self, event: Event) -> None:
        if self.raised is not None:
            return
        try:
            self._function(event)
        except BaseException as error:
            self.raised = error
            raise StoppedEarly(repr(error)) from error


def train(
    recipe: Recipe | str | Path,
    *,
    folder: str | Path | None = None,
    device: str = "auto",
    on_event: Callable[[Event], object] | None = None,
) -> Run:
    """Train, sample, score and report in this process, as `dddm run` does.

    What is done is not repeated: a run that was interrupted goes on from its last checkpoint, and
    one that is finished is read.  Nothing is printed; observers that the recipe names follow it.

    Args:
        recipe: or the path or name of one.
        folder: of the run; None for `runs/NAME`, with the recipe's name.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        on_event: called with every event of `dddm.interfaces.observer`, between steps.  What it
            raises stops the run, which is saved, and is raised again from here.

    Raises:
        StoppedEarly: after Ctrl-C, or a notebook's stop button: the step is finished and saved, and
            the same call goes on from there.  A second one is a KeyboardInterrupt at once.
        RecipeError: if the recipe is wrong, or the folder belongs to another one.
        DddmError: for what else a user can fix.
    """
    if not isinstance(recipe, Recipe):
        recipe = Recipe.from_file(recipe)
    if on_event is not None and not callable(on_event):
        raise UsageError(f"on_event is {on_event!r}; it must be a function", where="on_event")
    path = _PARENT / recipe.name if folder is None else Path(folder)
    callback = _Callback(on_event or (lambda _: None))
    with _stop_request() as stop, _own_random_state():
        try:
            with open_run(recipe, path, device=device, stop=stop) as context:
                observers = [Subscriber(title="on_event", make=lambda: callback)]
                if recipe.observe is not None:
                    named = subscribers_for(
                        recipe, catalogue=load_catalogue(), folder=context.folder
                    )
                    observers += named
                run(context, observers=observers if context.processes.main else ())
        except StoppedEarly as error:
            if callback.raised is None:
                remedy = "call dddm.train with this recipe and folder again, which goes on"
                raise StoppedEarly(error.what, where=error.where, remedy=remedy) from None
    if callback.raised is not None:
        raise callback.raised
    return Run(path)


@contextmanager
def _stop_request() -> Iterator[StopRequest]:
    """Made by signals, which only the main thread can listen to."""
    if threading.current_thread() is not threading.main_thread():
        yield StopRequest()
        return
    with stop_on_signals(exit_at_second=False) as stop:
        yield stop


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Training seeds torch's global generators at each step: the caller's go on as they were."""
    # GPUs that nobody has used have no state to keep.
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch does not type it
    with torch.random.fork_rng(devices=range(torch.cuda.device_count() if used else 0)):
        yield
