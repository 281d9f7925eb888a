"""The events of a short run, of every kind, in the order in which they come."""

from pathlib import Path
from typing import Final

from dddm.interfaces.observer import (
    CheckpointSaved,
    EpochDone,
    Event,
    Notice,
    RunStarted,
    RunStopped,
    SampleProgress,
    SamplesDrawn,
    ScoreMeasured,
    StepDone,
)

FOLDER: Final = Path("runs") / "digits"
STARTED: Final = RunStarted(
    seconds=0.0,
    name="digits",
    folder=FOLDER,
    total_steps=4,
    total_epochs=2,
    batch_images=100,
    first_step=0,
    device="cpu",
    parameters=361_234,
    train_images=1500,
    stale_images=0,
    store_memory_bytes=384_000,
    store_disk_bytes=0,
    store_device_bytes=0,
)
DIAGNOSIS: Final = {"given_store": 0.25, "given_noise": 0.5, "data_variance": 0.3, "lipschitz": 0.1}


def step(number: int, *, seconds: float, rate: float | None = 2500.0) -> StepDone:
    """Step `number` of four, the first two of epoch 0."""
    return StepDone(
        seconds=seconds,
        step=number,
        epoch=(number - 1) // 2,
        loss=0.125 / number,
        learning_rate=2e-3,
        gradient_norm=1.5,
        images_per_second=rate,
        seconds_left=None if rate is None else 125.0,
    )


def drawn(images_done: int, *, seconds: float) -> SampleProgress:
    """So many of 128 images."""
    return SampleProgress(
        seconds=seconds,
        sampler="fixed-time",
        steps=(1, 10),
        images_done=images_done,
        images=128,
        evaluations_done=images_done * 10 // 64,
        evaluations=20,
        seconds_left=125.0,
    )


EVENTS: Final[list[Event]] = [
    STARTED,
    Notice(seconds=0.5, text="[no] markup, and x̂"),
    step(1, seconds=1.0, rate=None),
    step(2, seconds=2.0),
    EpochDone(seconds=2.0, epoch=0, step=2, loss=0.1, diagnosis=DIAGNOSIS),
    CheckpointSaved(
        seconds=2.5,
        step=2,
        folder=FOLDER / "checkpoints" / "step-00000002",
        size_bytes=5_234_567,
        save_seconds=0.0412,
        stalled_seconds=0.0103,
    ),
    step(3, seconds=11.0),
    step(4, seconds=12.0),
    EpochDone(seconds=12.0, epoch=1, step=4, loss=0.05, diagnosis=None),
    drawn(64, seconds=13.0),
    drawn(128, seconds=14.0),
    SamplesDrawn(
        seconds=14.0,
        sampler="fixed-time",
        steps=1,
        evaluations=1,
        images=128,
        grid=FOLDER / "grid.png",
    ),
    ScoreMeasured(
        seconds=15.0, score="fd", sampler="fixed-time", steps=1, evaluations=1, value=4.43212
    ),
    RunStopped(seconds=130.0, reason="finished", step=4, message="see report.html"),
]
