"""How long saving a checkpoint of the CIFAR-10 recipe stalls training, in steps of that training.

`dddm run` of recipes/cifar10.toml's network, batch and store at full size, on 50,000 random images,
is asked to stop after a few steps (SIGTERM), and saves.  Its log holds the seconds of each step, of
the save, and of the save's part that training waits for where it goes on.  The metric is
pseudo-huber, because the recipe's needs a file of weights, and takes longer: with it a step is
longer, and a save counts as less.  On a CPU a step of 1024 images takes minutes: `--batch` says of
how many images the measured ones are; a step of 1024 is in proportion.

    python benchmarks/checkpoint_stall.py --batch 32
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import numpy as np

PAPERS_BATCH: Final = 1024
IMAGES: Final = 50_000
STOPPED: Final = 75
RECIPE: Final = """\
format = 2
extends = "cifar10"
name = "stall"
sample = []

[data]
use = "npz"
path = "images.npz"

[metric]
use = "pseudo-huber"
c = 0.00014

[evaluate]
features = "pixels"

[targets]
use = "{store}"
precision = "{precision}"

[train]
batch_images = {batch}
log_every_steps = 1
"""


def events_of(run: Path) -> list[dict[str, Any]]:
    """The log, as far as it is written."""
    log = run / "events.jsonl"
    if not log.exists():
        return []
    whole = log.read_text("utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def measure(folder: Path, *, store: str, precision: str, batch: int, steps: int) -> None:
    """One run; a line of the table."""
    text = RECIPE.format(store=store, precision=precision, batch=batch)
    (folder / "stall.toml").write_text(text, "utf-8")
    run = folder / f"{store}-{precision}"
    words = ["-m", "dddm", "run", "stall.toml", "--folder", run.name]
    process = subprocess.Popen([sys.executable, *words], cwd=folder, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        done = [event for event in events_of(run) if event["event"] == "step-done"]
        if len(done) >= steps:
            process.send_signal(signal.SIGTERM)
            process.wait()
        time.sleep(0.1)
    if process.returncode != STOPPED:
        raise SystemExit(f"`{' '.join(words[1:])}` ended with exit code {process.returncode}")
    events = events_of(run)
    at = [event["seconds"] for event in events if event["event"] == "step-done"]
    step = median(later - earlier for earlier, later in pairwise(at[1:]))
    saved = next(event for event in events if event["event"] == "checkpoint-saved")
    papers = step * PAPERS_BATCH / batch
    print(
        f"| {store} {precision} | {saved['size_bytes'] / 1e6:,.0f} | {saved['save_seconds']:.1f} "
        f"| {saved['stalled_seconds']:.2f} | {step:.1f} | {saved['stalled_seconds'] / step:.3f} "
        f"| {saved['stalled_seconds'] / papers:.4f} |",
        flush=True,
    )


@click.command()
@click.option("--batch", default=32, help="Images in a measured step.")
@click.option("--steps", default=5, help="Before it is stopped; the first is not counted.")
def main(batch: int, steps: int) -> None:
    """Measure and print."""
    print(
        f"| store | checkpoint MB | save s | stall s | step of {batch} s | stall in these ", end=""
    )
    print(f"| in steps of {PAPERS_BATCH} |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
        np.savez(folder / "images.npz", arr_0=images)
        for store, precision in (("ram", "float32"), ("ram", "float16"), ("mmap", "float32")):
            measure(folder, store=store, precision=precision, batch=batch, steps=steps)


if __name__ == "__main__":
    main()
