"""Watches the process of a long run from outside: memory, open files and threads must not grow.

The digits recipe with a small network, all that a run does in it: checkpoints, diagnoses, grids and
scores of samples during training.

    OMP_NUM_THREADS=1 python benchmarks/long_run.py --steps 10000
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import click
from attrs import frozen

_STEPS_AN_EPOCH: Final = 50
_CHANGES: Final = (
    *("backbone.channels=8", "train.batch_images=30", "train.sample_every_epochs=10"),
    *("sample.0.steps=[1]", "sample.0.images=40", "sample.1.images=40", "sample.1.steps=[2]"),
    'evaluate={features="pixels"}',
)
_NUMBERS: Final = ("epochs", "megabytes", "files", "threads")


@frozen
class Seen:
    """What a process had after so many epochs; memory in MB is what no other process shares."""

    epochs: int
    megabytes: float
    files: int
    threads: int


def look(process: int, epochs: int) -> Seen:
    """What it has now."""
    place = Path(f"/proc/{process}")
    rollup = dict(
        line.split(":", 1) for line in (place / "smaps_rollup").read_text().splitlines()[1:]
    )
    private = sum(int(rollup[f"Private_{kind}"].split()[0]) for kind in ("Clean", "Dirty"))
    files, threads = (len(os.listdir(place / name)) for name in ("fd", "task"))  # noqa: PTH208
    return Seen(epochs, private / 1024, files, threads)


def watch(folder: Path, *, steps: int, looks: int = 20) -> list[Seen]:
    """Train for so many steps, and look at the process about so often at the end of an epoch."""
    words = [word for change in _CHANGES for word in ("--set", change)]
    epochs = steps // _STEPS_AN_EPOCH
    words += ["--set", f"train.epochs={epochs}", "--folder", str(folder), "--device", "cpu"]
    command = [sys.executable, "-m", "dddm", "run", "digits", *words]
    seen: list[Seen] = []
    events, done = folder / "events.jsonl", 0
    with (
        (folder.parent / "output.txt").open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as running,
    ):
        while running.poll() is None:
            time.sleep(0.2)
            text = events.read_text("utf-8") if events.exists() else ""
            now = text.count('"event": "epoch-done"')
            if epochs > now >= done + max(1, epochs // looks):
                done = now
                seen.append(look(running.pid, now))
    if running.returncode:
        raise SystemExit((folder.parent / "output.txt").read_text()[-3000:])
    return seen


def growth(seen: list[Seen]) -> Seen:
    """Between the second quarter, when all that is made once is there, and the last, by medians."""
    quarter = len(seen) // 4
    early, late = (
        [sorted(getattr(one, name) for one in part)[len(part) // 2] for name in _NUMBERS]
        for part in (seen[quarter : 2 * quarter], seen[-quarter:])
    )
    return Seen(*(b - a for a, b in zip(early, late, strict=True)))


@click.command()
@click.option("--steps", default=10_000)
def main(steps: int) -> None:
    """Train, watch, and print what grew."""
    with tempfile.TemporaryDirectory() as folder:
        seen = watch(Path(folder) / "run", steps=steps)
    for one in seen:
        print(
            f"{one.epochs * _STEPS_AN_EPOCH:6} steps: {one.megabytes:.1f} MB, {one.files} files,"
            f" {one.threads} threads"
        )
    grown = growth(seen)
    print(
        f"in {grown.epochs * _STEPS_AN_EPOCH} steps {grown.megabytes:+.1f} MB, "
        f"{grown.files:+} files, {grown.threads:+} threads"
    )
    if grown.megabytes > 10 or grown.files > 0 or grown.threads > 0:
        raise SystemExit("it grows")


if __name__ == "__main__":
    main()
