"""What follows a run: a terminal display, a log, a tracker.  Imports no torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import final

from attrs import field, frozen
from attrs.converters import optional


def _read_only(numbers: Mapping[str, float]) -> Mapping[str, float]:
    """A copy that no observer can change for those after it."""
    return MappingProxyType(dict(numbers))


@frozen(kw_only=True)
class Event:
    """Something that happened in a run.

    Attributes:
        seconds: since this process started the run.
    """

    seconds: float


@final
@frozen(kw_only=True)
class RunStarted(Event):
    """Training is about to begin, or to go on.

    Attributes:
        processes: how many share the work.
        store_memory_bytes: what the target stores of all processes take when every row is in them;
            `store_disk_bytes` and `store_device_bytes` likewise, at most; None for an objective
            without memory.
    """

    name: str
    folder: Path
    total_steps: int
    total_epochs: int
    batch_images: int
    first_step: int
    device: str
    parameters: int
    train_images: int
    stale_images: int
    store_memory_bytes: int | None = None
    store_disk_bytes: int | None = None
    store_device_bytes: int | None = None
    processes: int = 1


@final
@frozen(kw_only=True)
class StepDone(Event):
    """One optimizer step.

    Attributes:
        step: steps done so far, from 1.
        epoch: n, the epoch that the step belongs to, from 0.
        loss: of the objective, mean over the batch.
        images_per_second: over the last steps.
        seconds_left: of training, estimated; None before there is a rate.
        numbers: what else the objective says of the step, by name.
    """

    step: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float | None
    images_per_second: float | None
    seconds_left: float | None
    numbers: Mapping[str, float] = field(factory=dict, converter=_read_only)


@final
@frozen(kw_only=True)
class EpochDone(Event):
    """One epoch.

    Attributes:
        epoch: n, from 0.
        loss: mean over the epoch.
        diagnosis: what the objective says of training, by name, where that was due.
    """

    epoch: int
    step: int
    loss: float
    diagnosis: Mapping[str, float] | None = field(converter=optional(_read_only))


@final
@frozen(kw_only=True)
class CheckpointSaved(Event):
    """A checkpoint is complete on the disk.

    Attributes:
        step: that it was made at; training may have gone on since.
        save_seconds: from that step to its last byte.
        stalled_seconds: how many of them training waited.
    """

    step: int
    folder: Path
    size_bytes: int
    save_seconds: float
    stalled_seconds: float


@final
@frozen(kw_only=True)
class DataProgress(Event):
    """Images are being made ready: packed, before they are read for the first time.

    Attributes:
        what: what is being done, as a phrase.
        done: images so far.
        total: images in all.
    """

    what: str
    done: int
    total: int


@final
@frozen(kw_only=True)
class SampleProgress(Event):
    """One more step of the sampler on a block of samples.

    Attributes:
        steps: the step counts that are being drawn.
        images_done: finished at all of them.
        evaluations_done: network evaluations, each of a whole block; how far the work is.
        evaluations: network evaluations of this process in all; fewer where images leave early.
        seconds_left: of these samples, estimated.
    """

    sampler: str
    steps: tuple[int, ...]
    images_done: int
    images: int
    evaluations_done: int
    evaluations: int
    seconds_left: float


@final
@frozen(kw_only=True)
class SamplesDrawn(Event):
    """Samples of one sampler at one number of steps are on the disk.

    Attributes:
        evaluations: network evaluations for one image.
    """

    sampler: str
    steps: int
    evaluations: int
    images: int
    grid: Path


@final
@frozen(kw_only=True)
class ScoreMeasured(Event):
    """One score is known.

    Attributes:
        score: its name, with features and image count, as `fd-digits-classifier@1500`.
        evaluations: network evaluations for one image.
        epoch: n, from 0, of a score during training; None for one of the finished run.
    """

    score: str
    sampler: str
    steps: int
    evaluations: int
    value: float
    epoch: int | None = None


@final
@frozen(kw_only=True)
class Notice(Event):
    """Something that a person should read: a fallback, a stale count, what is being waited for."""

    text: str


@final
@frozen(kw_only=True)
class RunStopped(Event):
    """The run ended.

    Attributes:
        reason: `finished`, `interrupted` or `failed`.
        step: that of the newest checkpoint; 0 where there is none.
    """

    reason: str
    step: int
    message: str


class Observer(ABC):
    """Receives the events of a run.  Only rank 0 has observers.

    Any event may come first, as when samples are drawn without training.  Ignore events of unknown
    classes: a later version may add some.  Stdout is for results, so write to stderr or to files.

    A target of kind `observer` is called as `target(options, folder=its own folder)`: one within
    the run folder, which exists, and is removed after the run where it is empty.  The rest of the
    run folder is there to be read.  An exception in a thread that the observer started is reported
    like one of its own; what a `Future` holds is not, so ask for its result in `on_event` or
    `close`.
    """

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Handle `event`, whose class says what happened.  Must return quickly."""

    def close(self) -> None:
        """Release files and threads; the run has ended, or failed."""
        return
