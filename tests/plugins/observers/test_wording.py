"""What a person is told of each event."""

from pathlib import Path

import attrs
import pytest
from run_events import STARTED, drawn, step

from dddm.interfaces.observer import CheckpointSaved, RunStopped, SamplesDrawn, ScoreMeasured
from dddm_observers import wording


def test_a_start_tells_the_facts_of_the_run() -> None:
    """What is trained, on what, for how long, and how much the store takes."""
    work, place = wording.run_started(STARTED)
    assert work == (
        "digits: 361,234 parameters on cpu, 1,500 images, 2 epochs, 4 steps of 100 images"
    )
    assert place == f"target store 384.0 kB of memory, run folder {Path('runs') / 'digits'}"


def test_a_start_tells_where_the_store_is() -> None:
    """Memory, disk and device, each by itself, over all processes."""
    on_disk = attrs.evolve(
        STARTED, store_memory_bytes=15_400_000, store_disk_bytes=94_500_000_000, processes=4
    )
    assert wording.run_started(on_disk)[1] == (
        "target store 15.4 MB of memory, 94.5 GB on the disk at most, in 4 processes, "
        f"run folder {STARTED.folder}"
    )
    on_device = attrs.evolve(STARTED, store_memory_bytes=0, store_device_bytes=307_200_000)
    assert wording.run_started(on_device)[1].startswith("target store 307.2 MB on the device, ")


def test_a_start_tells_of_stale_images_and_of_going_on() -> None:
    """Images that no batch holds are counted; a resumed run says where it stands."""
    lines = wording.run_started(attrs.evolve(STARTED, stale_images=48, first_step=2))
    assert "leaves out 48 images" in lines[2]
    assert lines[3] == "resuming after step 2"


def test_without_memory_there_is_no_store_to_tell_of() -> None:
    """Neither where it is, nor that estimates of left-out images stay as they are."""
    bare = attrs.evolve(
        STARTED,
        stale_images=48,
        store_memory_bytes=None,
        store_disk_bytes=None,
        store_device_bytes=None,
    )
    lines = wording.run_started(bare)
    assert lines[1].startswith("run folder ")
    assert lines[2].endswith("which do not fill a batch")


def test_a_step_tells_what_is_known() -> None:
    """Before there is a rate, neither rate nor time left are shown."""
    known = wording.step_done(step(3, seconds=0), total_epochs=2)
    assert known == "epoch 2/2, loss 0.04167, 2,500 images/s, 2 min 05 s left"
    unknown = wording.step_done(step(1, seconds=0, rate=None), total_epochs=None)
    assert unknown == "epoch 1, loss 0.125"


def test_a_checkpoint_tells_its_size_and_cost() -> None:
    """Both bytes and seconds are measured ones."""
    event = CheckpointSaved(
        seconds=0,
        step=900,
        folder=Path("x"),
        size_bytes=5_234_567,
        save_seconds=0.0412,
        stalled_seconds=0.01,
    )
    assert wording.checkpoint_saved(event) == "checkpoint at step 900: 5.2 MB in 0.041 s"


@pytest.mark.parametrize(
    ("steps", "text"), [((1,), "fixed-time at 1 step"), ((1, 10), "fixed-time at 1, 10 steps")]
)
def test_sampling_tells_sampler_and_steps(steps: tuple[int, ...], text: str) -> None:
    """One pass may serve several step counts; all are named."""
    assert wording.sample_progress(attrs.evolve(drawn(1, seconds=0), steps=steps)) == text


def test_samples_and_scores_tell_where_and_how_much() -> None:
    """A grid's path, a score's value to four digits."""
    grid = SamplesDrawn(
        seconds=0, sampler="annealed", steps=10, evaluations=10, images=64, grid=Path("grid.png")
    )
    assert wording.samples_drawn(grid) == "annealed, 10 steps: 64 images, grid.png"
    score = ScoreMeasured(
        seconds=0, score="fd", sampler="annealed", steps=1, evaluations=1, value=4.43212
    )
    assert wording.score_measured(score) == "annealed, 1 step: fd 4.432"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("finished", "finished in 2 min 05 s: why"),
        ("interrupted", "interrupted at step 1,200: why"),
        ("failed", "failed, saved up to step 1,200: why"),
    ],
)
def test_an_end_tells_how_it_came(reason: str, text: str) -> None:
    """A finished run says how long it took, any other where it stopped."""
    event = RunStopped(seconds=125.0, reason=reason, step=1200, message="why")
    assert wording.run_stopped(event) == text
