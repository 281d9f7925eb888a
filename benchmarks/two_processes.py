"""Images per second of two processes on two cores beside one process on one core.

`dddm run` of one recipe, each time anew, in turn: one process that may use the first core, and
`--nproc 2` that may use the first two, every process with one thread.  The rate is that of the
median step after the first epoch, by the times of the run's own log.

    python benchmarks/two_processes.py
    python benchmarks/two_processes.py --recipe cifar10_small --epochs 3 --rounds 2
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

import click

_NOTHING_ELSE: Final = ("--set", "sample=[]", "--set", "train.log_every_steps=1")


def rate(recipe: str, *, processes: int, epochs: int, more: tuple[str, ...]) -> float:
    """Images per second of one run."""
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path) / "run"
        words = ["-m", "dddm", "run", recipe, "--folder", str(folder), *_NOTHING_ELSE]
        words += ["--set", f"train.epochs={epochs}"]
        for setting in more:
            words += ["--set", setting]
        if processes > 1:
            words += ["--nproc", str(processes)]
        os.sched_setaffinity(0, range(processes))
        subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
        )
        lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        shutil.rmtree(folder)
    steps = [event for event in events if event["event"] == "step-done" and event["epoch"] > 0]
    started = next(event for event in events if event["event"] == "run-started")
    apart = [
        later["seconds"] - earlier["seconds"]
        for earlier, later in pairwise(steps)
        if later["epoch"] == earlier["epoch"]
    ]
    each: float = started["batch_images"] / median(apart)
    return each


@click.command()
@click.option("--recipe", default="digits", help="Name or file.")
@click.option("--epochs", default=12, help="The first is not counted.")
@click.option("--rounds", default=3, help="How often each is run.")
@click.option("--set", "more", multiple=True, help="As `dddm run` takes it.")
def main(recipe: str, epochs: int, rounds: int, more: tuple[str, ...]) -> None:
    """Measure and print."""
    ratios = []
    print("| one process, one core, images/s | two, two cores | ratio |", flush=True)
    print("| ---: | ---: | ---: |")
    for _ in range(rounds):
        one = rate(recipe, processes=1, epochs=epochs, more=more)
        two = rate(recipe, processes=2, epochs=epochs, more=more)
        ratios.append(two / one)
        print(f"| {one:,.1f} | {two:,.1f} | {two / one:.2f} |", flush=True)
    print(f"\n{recipe}: median ratio {median(ratios):.2f}")


if __name__ == "__main__":
    main()
