"""What a person is told of each event: text alone, whatever shows it."""

from dddm.interfaces.observer import (
    CheckpointSaved,
    RunStarted,
    RunStopped,
    SampleProgress,
    SamplesDrawn,
    ScoreMeasured,
    StepDone,
)
from dddm.support.quantities import counted, counted_steps, duration, size


def run_started(event: RunStarted) -> list[str]:
    """The facts of a run, a line each."""
    work = (
        f"{event.name}: {event.parameters:,} parameters on {event.device}, "
        f"{counted(event.train_images, 'image')}, {counted(event.total_epochs, 'epoch')}, "
        f"{counted(event.total_steps, 'step')} of {counted(event.batch_images, 'image')}"
    )
    store = "" if event.store_memory_bytes is None else f"target store {_store(event)}, "
    lines = [work, f"{store}run folder {event.folder}"]
    if event.stale_images:
        lines.append(
            f"each epoch leaves out {counted(event.stale_images, 'image')}, which do not fill a "
            "batch" + ("; their estimates stay as they are" if store else "")
        )
    if event.first_step:
        lines.append(f"resuming after step {event.first_step:,}")
    return lines


def _store(event: RunStarted) -> str:
    """What it takes, and where."""
    places = {
        "of memory": event.store_memory_bytes,
        "on the disk at most": event.store_disk_bytes,
        "on the device": event.store_device_bytes,
    }
    taken = ", ".join(f"{size(taken)} {where}" for where, taken in places.items() if taken)
    return taken if event.processes == 1 else f"{taken}, in {event.processes} processes"


def step_done(event: StepDone, *, total_epochs: int | None) -> str:
    """Epoch, loss, rate and time left."""
    of_all = "" if total_epochs is None else f"/{total_epochs}"
    parts = [f"epoch {event.epoch + 1}{of_all}", f"loss {event.loss:.4g}"]
    if event.images_per_second is not None:
        parts.append(f"{event.images_per_second:,.0f} images/s")
    if event.seconds_left is not None:
        parts.append(f"{duration(event.seconds_left)} left")
    return ", ".join(parts)


def checkpoint_saved(event: CheckpointSaved) -> str:
    """Where it stands, its size and what it cost."""
    return (
        f"checkpoint at step {event.step:,}: {size(event.size_bytes)} in {event.save_seconds:.2g} s"
    )


def sample_progress(event: SampleProgress) -> str:
    """What is being drawn."""
    steps = ", ".join(str(count) for count in event.steps)
    noun = "step" if event.steps == (1,) else "steps"
    return f"{event.sampler} at {steps} {noun}"


def sample_facts(event: SampleProgress) -> str:
    """How many images are finished, and how long the rest takes."""
    left = "" if event.images_done == event.images else f", {duration(event.seconds_left)} left"
    return f"{event.images_done:,} of {counted(event.images, 'image')}{left}"


def samples_drawn(event: SamplesDrawn) -> str:
    """What was drawn, and where to look at it."""
    steps = counted_steps(event.steps, event.evaluations)
    images = counted(event.images, "image")
    return f"{event.sampler}, {steps}: {images}, {event.grid}"


def score_measured(event: ScoreMeasured) -> str:
    """One score, with the epoch after which it was taken during training."""
    after = "" if event.epoch is None else f"after epoch {event.epoch + 1:,}, "
    steps = counted_steps(event.steps, event.evaluations)
    return f"{after}{event.sampler}, {steps}: {event.score} {event.value:.4g}"


def run_stopped(event: RunStopped) -> str:
    """How the run ended."""
    if event.reason == "finished":
        return f"finished in {duration(event.seconds)}: {event.message}"
    if event.reason == "failed":
        # The step that failed is in the message; the event's is that of the newest checkpoint.
        saved = f"saved up to step {event.step:,}" if event.step else "nothing is saved"
        return f"failed, {saved}: {event.message}"
    return f"{event.reason} at step {event.step:,}: {event.message}"
