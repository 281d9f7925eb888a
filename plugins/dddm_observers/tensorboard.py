"""A run in TensorBoard: `tensorboard --logdir RUN/observers/tensorboard`, at any time.

Tags are those of `tracker`, but that results of the finished run are curves over the number of
sampling steps, as in the paper's figure 5: `scores/SCORE/SAMPLER` and `samples/SAMPLER`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, final

from dddm_observers.options import TensorBoardOptions
from dddm_observers.tracker import Tracker, import_tracker, make_folder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@final
class TensorBoard(Tracker):
    """Writes event files into its own folder, `observers/tensorboard` in the run folder.

    A resumed run repeats the steps that its last checkpoint did not hold.  Its first event tells
    TensorBoard to drop these from what the run wrote before, so that no step is there twice.
    """

    def __init__(self, options: TensorBoardOptions, *, folder: Path) -> None:
        """Make sure that the package and the folder are there; files are made when needed.

        Raises:
            EnvironmentProblem: if TensorBoard is not installed, or the folder cannot be made.
        """
        super().__init__()
        self._torch = import_tracker("torch.utils.tensorboard", extra="tensorboard")
        self._folder = make_folder(folder, tracker="tensorboard")
        self._flush_seconds = options.flush_seconds
        self._writer: SummaryWriter | None = None

    def start(self, *, first_step: int, recipe: str | None) -> None:
        self.close()
        writer = self._open(purge_step=first_step + 1)
        if recipe is not None:
            # Shown as Markdown, in which four spaces make a block that is shown as it is.
            text = "".join(f"    {line}\n" for line in recipe.splitlines())
            writer.add_text("recipe", text, first_step)

    def numbers(self, numbers: Mapping[str, float], *, step: int | None) -> None:
        for tag, number in numbers.items():
            self._open().add_scalar(tag, number, step)

    def picture(self, tag: str, path: Path, *, step: int | None) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as drawn:
            pixels_HWC = np.asarray(drawn.convert("RGB"))
        self._open().add_image(tag, pixels_HWC, step, dataformats="HWC")

    def place_of_result(self, tag: str, steps: int) -> tuple[str, int | None]:
        return tag, steps

    def stop(self, reason: str) -> None:
        del reason
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, *, purge_step: int | None = None) -> "SummaryWriter":
        if self._writer is None:
            self._writer = self._torch.SummaryWriter(
                log_dir=str(self._folder), purge_step=purge_step, flush_secs=self._flush_seconds
            )
        return self._writer
