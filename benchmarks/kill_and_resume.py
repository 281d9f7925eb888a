"""Kills real runs at random moments, over and over, and compares what they end with.

Each trial gives the same `dddm run` command again and again; every time but the last its process
group is killed (`kill -9`) after a random time.  The run that gets to its end must equal one that
nobody disturbed bit for bit: weights, averages, optimizer, target store, losses and samples.

    python benchmarks/kill_and_resume.py --kills 200
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, final

import click
import numpy as np
from attrs import frozen
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "toys"))

from command_line import write_tiny
from stored import stored_rows

_GROUPS: Final = ("model", "ema", "optimizer")
_KILLS_A_TRIAL: Final = 8
_WAIT_SECONDS: Final = 0.2
_BUSY: Final = 6
_ARGUMENTS: Final = ("--set", "train.checkpoint_every_epochs=1", "--set", "train.epochs=8")


@final
@frozen(kw_only=True)
class Setting:
    """One kind of run that is killed."""

    processes: int
    store: str
    precision: str

    @property
    def command(self) -> list[str]:
        """What is given again and again."""
        return [
            *(sys.executable, "-m", "dddm", "run", "tiny.toml", "--folder", "run", *_ARGUMENTS),
            *("--set", f"targets.use={self.store!r}"),
            *("--set", f"targets.precision={self.precision!r}"),
            *(() if self.processes == 1 else ("--nproc", str(self.processes))),
        ]

    def __str__(self) -> str:
        return f"{self.processes} process(es), {self.store} {self.precision}"


SETTINGS: Final = (
    Setting(processes=1, store="ram", precision="float32"),
    Setting(processes=1, store="mmap", precision="float32"),
    Setting(processes=2, store="mmap", precision="float16"),
    Setting(processes=2, store="ram", precision="float32"),
)


def run(folder: Path, setting: Setting, *, kill_after: float | None) -> bool:
    """Give the command once; whether it got to its end."""
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            setting.command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode in {0, -signal.SIGKILL}:
        return process.returncode == 0
    if process.returncode == _BUSY:  # a worker that was killed has not gone yet
        time.sleep(_WAIT_SECONDS)
        return False
    raise SystemExit(f"exit code {process.returncode}, see {folder / 'output.txt'}")


def fingerprint(folder: Path) -> dict[str, str]:
    """Digests of all that must be equal."""
    run_folder = folder / "run"
    newest = max((run_folder / "checkpoints").glob("step-*"))
    events = [json.loads(line) for line in (run_folder / "events.jsonl").read_text().splitlines()]
    facts: dict[str, Any] = {
        "losses": [e["loss"] for e in events if e["event"] == "step-done"],
        "diagnosis": [e["diagnosis"] for e in events if e["event"] == "epoch-done"],
        "store": stored_rows(run_folder).numpy().tobytes(),
    }
    for group in _GROUPS:
        tensors = load_file(newest / f"{group}.safetensors")
        facts[group] = [tensors[name].numpy().tobytes() for name in sorted(tensors)]
    for samples in sorted((run_folder / "samples").glob("*/samples.npz")):
        with np.load(samples) as arrays:
            facts[samples.parent.name] = arrays["arr_0"].tobytes()
    return {name: hashlib.sha256(repr(value).encode()).hexdigest() for name, value in facts.items()}


@click.command()
@click.option("--kills", default=200, help="Kills in all settings together.")
@click.option("--seed", default=0, help="Of the moments.")
def main(kills: int, seed: int) -> None:
    """Kill, resume, compare, and print what was found."""
    moments = random.Random(seed)  # noqa: S311 - no secret
    counted: Counter[str] = Counter()
    expected: dict[Setting, tuple[dict[str, str], float]] = {}
    while sum(counted.values()) < kills:
        for setting in SETTINGS:
            with tempfile.TemporaryDirectory() as path:
                folder = Path(path)
                write_tiny(
                    folder,
                    ('[evaluate]\nfeatures = "pixels"\n', ""),
                    ("batch_images = 250", "batch_images = 256"),
                )
                if setting not in expected:
                    began = time.perf_counter()
                    assert run(folder, setting, kill_after=None)
                    expected[setting] = (fingerprint(folder), time.perf_counter() - began)
                    print(f"{setting}: {expected[setting][1]:.1f} s undisturbed", flush=True)
                    continue
                undisturbed, seconds = expected[setting]
                for _ in range(_KILLS_A_TRIAL):
                    # Most of it is the import; what is left is worth hitting more often.
                    if run(folder, setting, kill_after=moments.uniform(0.3, 1.0) * seconds):
                        break
                    counted[str(setting)] += 1
                while not run(folder, setting, kill_after=None):
                    pass
                found = fingerprint(folder)
                differ = [name for name in undisturbed if found.get(name) != undisturbed[name]]
                if differ:
                    raise SystemExit(f"{setting}: {', '.join(differ)} differ after kills")
                print(f"{setting}: {counted[str(setting)]} kills so far, all equal", flush=True)
    print(f"{sum(counted.values())} kills, every finished run equal to the undisturbed one")
    for name, count in counted.items():
        print(f"  {name}: {count}")


if __name__ == "__main__":
    main()
