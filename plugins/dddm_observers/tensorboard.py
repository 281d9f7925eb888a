"""A run in TensorBoard: `tensorboard --logdir RUN/tensorboard`, while it goes on or afterwards.

What is drawn over training has the training step as its step.  What is drawn over the number of
sampling steps, as in the paper's figure 5, has that number as its step.

| Tag | Over |
| --- | --- |
| `train/loss`, `train/learning-rate`, `train/gradient-norm`, `train/images-per-second` | training |
| `epoch/loss`; `diagnosis/given-store` and what else the objective measures | training |
| `scores-in-training/METRIC/SAMPLER-STEPS`, `samples-in-training/SAMPLER-STEPS` | training |
| `scores/METRIC/SAMPLER`, `samples/SAMPLER` | sampling steps |
| `recipe`, the checked recipe as text | training; once for each start |
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from dddm.errors import EnvironmentProblem
from dddm.interfaces.observer import (
    CheckpointSaved,
    EpochDone,
    Event,
    Observer,
    RunStarted,
    RunStopped,
    SamplesDrawn,
    ScoreMeasured,
    StepDone,
)
from dddm.support.files import raise_on_disk_full
from dddm_observers.options import TensorBoardOptions

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_RECIPE: Final = "recipe.toml"


@final
class TensorBoard(Observer):
    """Writes event files into its own folder, `observers/tensorboard` in the run folder.

    A resumed run repeats the steps that its last checkpoint did not hold.  Its first event tells
    TensorBoard to drop these from what the run wrote before, so that no step is there twice.
    """

    def __init__(self, options: TensorBoardOptions, *, folder: Path) -> None:
        """Make sure that the package and the folder are there; files are made when needed.

        Raises:
            EnvironmentProblem: if TensorBoard is not installed, or the folder cannot be made.
        """
        self._make_writer = _writer_class()
        self._folder = _make_folder(folder)
        self._flush_seconds = options.flush_seconds
        self._writer: SummaryWriter | None = None
        self._step = 0
        self._last_step: int | None = None  # of the training that goes on; None where none does

    def on_event(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case StepDone():
                self._after_step(event)
            case EpochDone():
                self._after_epoch(event)
            case CheckpointSaved() if event.step == self._last_step:
                self._last_step = None  # samples and scores from here on are the finished run's
            case SamplesDrawn():
                self._samples(event)
            case ScoreMeasured():
                self._score(event)
            case RunStopped() if self._writer is not None:
                self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _start(self, event: RunStarted) -> None:
        self.close()
        self._step, self._last_step = event.first_step, event.total_steps
        self._open(purge_step=event.first_step + 1)
        recipe = event.folder / _RECIPE
        if recipe.exists():
            self._text("recipe", recipe.read_text(encoding="utf-8"), step=event.first_step)

    def _after_step(self, event: StepDone) -> None:
        self._step = event.step
        numbers = {
            "loss": event.loss,
            "learning-rate": event.learning_rate,
            "gradient-norm": event.gradient_norm,
            "images-per-second": event.images_per_second,
            **{name.replace("_", "-"): number for name, number in event.numbers.items()},
        }
        for name, number in numbers.items():
            if number is not None:
                self._number(f"train/{name}", number, step=event.step)

    def _after_epoch(self, event: EpochDone) -> None:
        self._step = event.step
        self._number("epoch/loss", event.loss, step=event.step)
        for name, number in (event.diagnosis or {}).items():
            self._number(f"diagnosis/{name.replace('_', '-')}", number, step=event.step)

    def _samples(self, event: SamplesDrawn) -> None:
        if self._last_step is None:
            self._picture(f"samples/{event.sampler}", event.grid, step=event.steps)
        else:
            tag = f"samples-in-training/{event.sampler}-{event.steps}"
            self._picture(tag, event.grid, step=self._step)

    def _score(self, event: ScoreMeasured) -> None:
        if event.epoch is None:
            tag = f"scores/{event.score}/{event.sampler}"
            self._number(tag, event.value, step=event.steps)
        else:
            tag = f"scores-in-training/{event.score}/{event.sampler}-{event.steps}"
            self._number(tag, event.value, step=self._step)

    def _number(self, tag: str, number: float, *, step: int) -> None:
        self._open().add_scalar(tag, number, step)

    def _text(self, tag: str, text: str, *, step: int) -> None:
        # TensorBoard shows Markdown, in which four spaces make a block that is shown as it is.
        self._open().add_text(tag, "".join(f"    {line}\n" for line in text.splitlines()), step)

    def _picture(self, tag: str, path: Path, *, step: int) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as drawn:
            pixels_HWC = np.asarray(drawn.convert("RGB"))
        self._open().add_image(tag, pixels_HWC, step, dataformats="HWC")

    def _open(self, *, purge_step: int | None = None) -> "SummaryWriter":
        if self._writer is None:
            self._writer = self._make_writer(
                log_dir=str(self._folder), purge_step=purge_step, flush_secs=self._flush_seconds
            )
        return self._writer


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise EnvironmentProblem(
            f"the observer tensorboard cannot be used: {error}",
            where="[[observe]]",
            remedy="pip install 'dddm[tensorboard]', or leave it out of the recipe",
        ) from error
    return SummaryWriter


def _make_folder(path: Path) -> Path:
    try:
        with raise_on_disk_full(path):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"TensorBoard's files cannot be written to this place: {error.strerror}",
            where=str(path),
            remedy="remove what stands there, or leave the observer tensorboard out of the recipe",
        ) from error
    return path
