"""The observer that writes for TensorBoard; what it wrote is read back by TensorBoard's reader."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from command_line import dddm, succeeded, write_tiny
from PIL import Image
from run_events import DIAGNOSIS, EVENTS, STARTED, step
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dddm.errors import EnvironmentProblem
from dddm.interfaces.observer import (
    CheckpointSaved,
    EpochDone,
    Event,
    Notice,
    SamplesDrawn,
    ScoreMeasured,
)
from dddm_observers.options import TensorBoardOptions
from dddm_observers.tensorboard import TensorBoard

LAST_CHECKPOINT = CheckpointSaved(
    seconds=12.0,
    step=4,
    folder=Path("step-00000004"),
    size_bytes=1,
    save_seconds=0.1,
    stalled_seconds=0.1,
)


def observe(events: Iterable[Event], folder: Path) -> EventAccumulator:
    """Send events to an observer of the run in `folder`, and read what is there afterwards."""
    observer = TensorBoard(TensorBoardOptions(), folder=folder)
    for event in events:
        observer.on_event(event)
    observer.close()
    return read(folder)


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0})
    accumulator.Reload()
    return accumulator


def numbers(found: EventAccumulator, tag: str) -> dict[int, float]:
    """Values by step; no step may be there twice."""
    points = {point.step: point.value for point in found.Scalars(tag)}
    assert len(points) == len(found.Scalars(tag))
    return points


def drawn(folder: Path, *, steps: int, color: int) -> SamplesDrawn:
    """A grid of one grey, on the disk."""
    path = folder / f"grid-{steps}-{color}.png"
    Image.new("L", (8, 4), color).save(path)
    return SamplesDrawn(
        seconds=1, sampler="fixed-time", steps=steps, evaluations=steps, images=9, grid=path
    )


def score(value: float, *, epoch: int | None) -> ScoreMeasured:
    return ScoreMeasured(
        seconds=1,
        score="fd",
        sampler="annealed",
        steps=10,
        evaluations=10,
        value=value,
        epoch=epoch,
    )


def test_steps_become_curves(tmp_path: Path) -> None:
    """Loss, learning rate, gradient norm and rate stand at their step, as far as they are known."""
    found = observe([STARTED, step(1, seconds=1, rate=None), step(2, seconds=2)], tmp_path)
    assert numbers(found, "train/loss") == {1: 0.125, 2: 0.0625}
    assert numbers(found, "train/learning-rate") == pytest.approx({1: 2e-3, 2: 2e-3})
    assert numbers(found, "train/gradient-norm") == {1: 1.5, 2: 1.5}
    assert numbers(found, "train/images-per-second") == {2: 2500}


def test_epochs_become_curves(tmp_path: Path) -> None:
    """The epoch's loss at its last step, and the diagnosis's numbers where it was due."""
    found = observe([e for e in EVENTS if isinstance(e, EpochDone)], tmp_path)
    assert numbers(found, "epoch/loss") == pytest.approx({2: 0.1, 4: 0.05})
    for name, value in DIAGNOSIS.items():
        assert numbers(found, f"diagnosis/{name.replace('_', '-')}") == pytest.approx({2: value})


def test_scores_of_the_finished_run_stand_over_sampling_steps(tmp_path: Path) -> None:
    """One curve a metric and sampler, as in the paper's figure 5."""
    more = attrs.evolve(score(0.25, epoch=None), steps=100)
    found = observe([STARTED, step(4, seconds=1), score(0.5, epoch=None), more], tmp_path)
    assert numbers(found, "scores/fd/annealed") == {10: 0.5, 100: 0.25}


def test_scores_during_training_stand_over_training(tmp_path: Path) -> None:
    """One curve for each number of sampling steps, at the training step of the epoch's end."""
    epochs = [
        EpochDone(seconds=1, epoch=epoch, step=2 * epoch + 2, loss=0.1, diagnosis=None)
        for epoch in (0, 1)
    ]
    found = observe(
        [STARTED, epochs[0], score(0.5, epoch=0), epochs[1], score(0.25, epoch=1)], tmp_path
    )
    assert numbers(found, "scores-in-training/fd/annealed-10") == {2: 0.5, 4: 0.25}


def test_grids_are_pictures(tmp_path: Path) -> None:
    """Until the last checkpoint they show training, and afterwards the finished run."""
    events: list[Event] = [
        STARTED,
        step(2, seconds=1),
        drawn(tmp_path, steps=1, color=50),
        step(4, seconds=1),
        drawn(tmp_path, steps=1, color=100),
        LAST_CHECKPOINT,
        drawn(tmp_path, steps=1, color=150),
        drawn(tmp_path, steps=2, color=200),
    ]
    found = observe(events, tmp_path)
    assert found.Tags()["images"] == ["samples-in-training/fixed-time-1", "samples/fixed-time"]
    training = found.Images("samples-in-training/fixed-time-1")
    finished = found.Images("samples/fixed-time")
    assert [picture.step for picture in training] == [2, 4]
    assert [picture.step for picture in finished] == [1, 2]
    assert [grey_of(p, tmp_path) for p in [*training, *finished]] == [50, 100, 150, 200]


def grey_of(picture: Any, folder: Path) -> int:
    """The one grey of a picture that was 8 wide and 4 high."""
    path = folder / "read back.png"
    path.write_bytes(picture.encoded_image_string)
    with Image.open(path) as image:
        assert image.size == (8, 4)
        (grey,) = np.unique(np.asarray(image))
    return int(grey)


def test_the_recipe_is_text(tmp_path: Path) -> None:
    """The checked recipe of the run folder, indented so that Markdown shows it as it is."""
    (tmp_path / "recipe.toml").write_text('name = "x̂"\n\n[data]\n', encoding="utf-8")
    found = observe([attrs.evolve(STARTED, folder=tmp_path)], tmp_path / "own")
    (text,) = found.Tensors("recipe/text_summary")
    assert text.step == 0
    (shown,) = text.tensor_proto.string_val
    assert shown.decode() == '    name = "x̂"\n    \n    [data]\n'


def test_a_resumed_run_overwrites_the_steps_that_it_repeats(tmp_path: Path) -> None:
    """What followed the checkpoint is dropped, what came before stays; no step is there twice."""
    observe([STARTED, *(step(n, seconds=n) for n in (1, 2, 3))], tmp_path)
    again = attrs.evolve(step(3, seconds=1), loss=7.0)
    found = observe([attrs.evolve(STARTED, first_step=2), again, step(4, seconds=2)], tmp_path)
    assert numbers(found, "train/loss") == pytest.approx({1: 0.125, 2: 0.0625, 3: 7, 4: 0.03125})


def test_a_run_that_starts_over_leaves_nothing_of_the_first_one(tmp_path: Path) -> None:
    """A run that was killed before its first checkpoint begins at its first step again."""
    observe([STARTED, step(1, seconds=1), step(2, seconds=2)], tmp_path)
    again = attrs.evolve(step(1, seconds=1), loss=7.0)
    assert numbers(observe([STARTED, again], tmp_path), "train/loss") == {1: 7}


def test_scores_of_another_process_leave_the_curves_of_training(tmp_path: Path) -> None:
    """`dddm evaluate` adds its scores to what the run wrote, without a start of training."""
    observe([STARTED, step(1, seconds=1), step(20, seconds=2)], tmp_path)
    found = observe([score(0.5, epoch=None)], tmp_path)
    assert set(numbers(found, "train/loss")) == {1, 20}
    assert numbers(found, "scores/fd/annealed") == {10: 0.5}


def test_events_without_numbers_leave_no_file(tmp_path: Path) -> None:
    """A command that draws nothing adds no empty file to the run's folder."""
    observer = TensorBoard(TensorBoardOptions(), folder=tmp_path)
    observer.on_event(Notice(seconds=0, text="hello"))
    observer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_no_folder_can_be_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """A file of that name is found before the run starts, as the user's to mend."""
    (tmp_path / "tensorboard").touch()
    with pytest.raises(EnvironmentProblem, match=r"cannot be written|no such place") as caught:
        TensorBoard(TensorBoardOptions(), folder=tmp_path / "tensorboard")
    assert str(tmp_path / "tensorboard") in str(caught.value.where)


def observed(folder: Path) -> None:
    """The tiny recipe, short, unscored and followed by this observer."""
    write_tiny(
        folder,
        ('[evaluate]\nfeatures = "pixels"\n', '[[observe]]\nuse = "tensorboard"\n'),
        ("epochs = 3", "epochs = 1\nsample_every_epochs = 1"),
    )


def test_a_recipe_that_names_it_is_followed(tmp_path: Path) -> None:
    """Through the real command line: six steps, the diagnosis, grids of training and of the end."""
    observed(tmp_path)
    succeeded(dddm("run", "tiny.toml", "--folder", "run", cwd=tmp_path))
    found = read(tmp_path / "run" / "observers" / "tensorboard")
    assert set(numbers(found, "train/loss")) == {1, 2, 3, 4, 5, 6}
    assert set(numbers(found, "diagnosis/given-noise")) == {6}
    assert [p.step for p in found.Images("samples-in-training/fixed-time-2")] == [6]
    assert [p.step for p in found.Images("samples/fixed-time")] == [1, 2]
    assert "recipe/text_summary" in found.Tags()["tensors"]


def test_without_the_package_the_run_does_not_start(tmp_path: Path) -> None:
    """The message says what to install; there is no traceback, and nothing was trained."""
    observed(tmp_path)
    absent = tmp_path / "absent" / "tensorboard.py"
    absent.parent.mkdir()
    absent.write_text(
        "raise ModuleNotFoundError(\"No module named 'tensorboard'\", name=__name__)\n"
    )
    done = dddm("run", "tiny.toml", "--folder", "run", cwd=tmp_path, PYTHONPATH=str(absent.parent))
    assert done.returncode == 6, done.stderr
    assert "pip install 'dddm[tensorboard]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()
