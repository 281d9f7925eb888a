"""Kills every command that works for long at random moments, and compares what they end with.

Each trial gives the same command again and again; every time but the last all its processes are
killed (`kill -9`) after a random time.  What it leaves must equal bit for bit what a command leaves
that nobody disturbed: weights, averages, optimizer, target store and its file, losses, samples,
scores, packed images, a sweep's table.  Reports have times in them: they must be whole.

Commands are forked from one process that has imported everything, so that a kill takes about a
second; two processes of a run are two of these.

    python benchmarks/kill_and_resume.py --kills 1000
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, final

import click
import numpy as np
from attrs import frozen
from PIL import Image

_RECIPES: Final = Path(__file__).parents[1] / "recipes"
_KILLS_A_TRIAL: Final = 6
_WAIT_SECONDS: Final = 0.2
_LONGEST_SECONDS: Final = 300
_BUSY: Final = 6
"""Another run still uses the folder, or a process of the run has gone."""
_CLASSES, _IMAGES, _SIDE = 4, 160, 8
_SMALL: Final = (
    'data={use="npz", path="images.npz"}',
    *("backbone.channels=8", "train.batch_images=32", "train.ema=0.9"),
    *("train.epochs=4", "train.checkpoint_every_epochs=1"),
)
_SAMPLES: Final = ("sample.0.images=40", "sample.0.steps=[1]")
_SCORES: Final = 'evaluate={features="pixels"}'
_STORES: Final = (
    'targets={use="ram"}',
    'targets={use="mmap"}',
    'targets={use="mmap", precision="float16"}',
    'targets={use="device"}',
    'targets={use="fp16"}',
    'targets={use="bf16"}',
    'targets={use="int8", place="mmap"}',
)
_OBJECTIVES: Final = {
    "digits_consistency": (),
    "digits_consistency_ratio": (),
    "digits_denoising": ("sample.1.images=40", "sample.1.steps=[2]"),
    "digits_directly_drifting": ("objective.rows=8", "objective.real=16"),
    "digits_drifting": ("objective.rows=8", "objective.real=16"),
    "digits_energy_score": (),
    "digits_flow_matching": ("sample.1.images=40", "sample.1.steps=[2]"),
    "digits_mean_flow": (),
}
_PACK: Final = """
[data]
use = "folder"
path = "images"
size = 8
packed = "packed"

[evaluate]
features = "pixels"
"""
_SWEEP: Final = """
[[sweep]]
name = "slow"
learning_rate = { rate = 1e-3 }

[[sweep]]
name = "fast"
learning_rate = { rate = 4e-3 }
"""


@final
@frozen(kw_only=True)
class Setting:
    """A command, and what was done in its folder before.

    Attributes:
        first: a command that runs undisturbed before.
    """

    name: str
    words: tuple[str, ...]
    first: tuple[str, ...] = ()
    processes: int = 1

    def __str__(self) -> str:
        return f"{self.name}, {self.processes} process{'es' if self.processes > 1 else ''}"


def _set(*changes: str) -> tuple[str, ...]:
    return tuple(word for change in changes for word in ("--set", change))


def _run(recipe: str, *changes: str) -> tuple[str, ...]:
    more = _set(*_SMALL, *_SAMPLES, _SCORES, *changes)
    return ("run", str(_RECIPES / f"{recipe}.toml"), "--folder", "run", "--device", "cpu", *more)


def settings() -> list[Setting]:
    """All commands, objectives and stores, on one process and on two."""
    two = ("sample.1.images=40", "sample.1.steps=[2]")
    trained = _run("digits", *two)
    found = []
    for processes in (1, 2):
        for store in _STORES:
            words = _run("digits", store, *two)
            found.append(Setting(name=f"run, {store}", words=words, processes=processes))
        for recipe, more in _OBJECTIVES.items():
            words = _run(recipe, *more)
            found.append(Setting(name=f"run, {recipe}", words=words, processes=processes))
        words = ("sample", "run", "--images", "200", "--steps", "1", "--steps", "8")
        words += ("--block", "16", "--device", "cpu", "--out", "drawn")
        found.append(Setting(name="sample", words=words, first=trained, processes=processes))
        words = ("evaluate", "run", "--device", "cpu")
        found.append(Setting(name="evaluate", words=words, first=trained, processes=processes))
    found.append(Setting(name="report", words=("report", "run"), first=trained))
    words = ("export", "run", "--format", "torch")
    found.append(Setting(name="export", words=words, first=trained))
    found.append(Setting(name="pack", words=("data", "pack", "pack.toml", "--workers", "1")))
    more = _set(*_SMALL, *_SAMPLES, _SCORES, *two)
    found.append(Setting(name="sweep", words=("run", "sweep.toml", "--folder", "sweep", *more)))
    return found


def prepare(folder: Path) -> None:
    """Images and recipes."""
    chance = np.random.default_rng(0)
    images = chance.integers(0, 256, (_IMAGES, _SIDE, _SIDE, 1), np.uint8)
    np.savez(folder / "images.npz", arr_0=images, arr_1=np.arange(_IMAGES) % _CLASSES)
    for number in range(400):
        place = folder / "images" / str(number % _CLASSES)
        place.mkdir(parents=True, exist_ok=True)
        pixels = chance.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{number:04d}.png")
    extends = f"extends = {json.dumps(str(_RECIPES / 'digits.toml'))}\nformat = 2\n"
    (folder / "pack.toml").write_text(f'{extends}name = "pack"\n{_PACK}', "utf-8")
    (folder / "sweep.toml").write_text(f'{extends}name = "sweep"\n{_SWEEP}', "utf-8")


def _child(words: tuple[str, ...], folder: Path, variables: dict[str, str]) -> NoReturn:
    from dddm.cli.main import main

    os.setsid()
    os.chdir(folder)
    os.environ.update(variables)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 1
    try:
        main(list(words))
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os._exit(code)


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


def give(setting: Setting, folder: Path, *, kill_after: float | None) -> bool:
    """Give the command once; whether it got to its end."""
    codes, killed = wait(
        fork(setting, folder), seconds=_LONGEST_SECONDS if kill_after is None else kill_after
    )
    if killed and kill_after is None:
        raise SystemExit(f"{setting}: not done after {_LONGEST_SECONDS} s, see {folder}")
    if codes == {0}:
        return True
    if killed and codes <= {0, 1, _BUSY, -signal.SIGKILL}:
        time.sleep(_WAIT_SECONDS)
        return False
    print((folder / "output.txt").read_text(errors="replace")[-3000:])
    raise SystemExit(f"{setting}: exit codes {sorted(codes)}")


def fork(setting: Setting, folder: Path, *, before: Callable[[], None] = lambda: None) -> list[int]:
    """The processes of the command, each of which calls `before` first."""
    place = {"MASTER_ADDR": "localhost", "MASTER_PORT": _free_port()}
    children = []
    sys.stdout.flush()
    for rank in map(str, range(setting.processes)):
        mine: dict[str, str] = {}
        if setting.processes > 1:
            size = str(setting.processes)
            mine = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        child = os.fork()
        if child == 0:
            before()
            _child(setting.words, folder, {**place, **mine})
        children.append(child)
    return children


def wait(children: list[int], *, seconds: float) -> tuple[set[int], bool]:
    """Exit codes of processes, and whether those that were left after a time were killed."""
    codes: dict[int, int] = {}
    killed, deadline = False, time.monotonic() + seconds
    while len(codes) < len(children):
        for child in set(children) - codes.keys():
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                codes[child] = os.waitstatus_to_exitcode(status)
        if not killed and time.monotonic() > deadline:
            killed = True
            for child in set(children) - codes.keys():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return set(codes.values()), killed


_BYTES: Final = (".safetensors", ".rows", ".npz", ".npy", ".png", ".bin")


def fingerprint(folder: Path) -> dict[str, str]:
    """Digests of all that must be equal, by file."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.startswith("images"):
            continue
        if path.suffix in _BYTES:
            found[name] = path.read_bytes()
        elif path.name == "events.jsonl":
            events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            kept = ("step", "epoch", "loss", "diagnosis", "numbers", "learning_rate")
            found[name] = [
                [event["event"], *(event.get(key) for key in kept)]
                for event in events
                if event["event"] in {"step-done", "epoch-done"}
            ]
        elif path.name == "scores.json":
            scores = json.loads(path.read_text("utf-8"))
            found[name] = [
                [one["name"], one["value"], one["sampler"], one["steps"]] for one in scores
            ]
        elif path.name == "sweep.json":
            entries = json.loads(path.read_text("utf-8"))["entries"]
            found[name] = repr([[one["name"], _numbers(one.get("scores"))] for one in entries])
        elif path.suffix == ".html":
            found[name] = path.read_text("utf-8").rstrip().endswith("</html>")
        elif path.name != "output.txt" and path.suffix != ".part":
            found[name] = "there"
    return {name: hashlib.sha256(repr(value).encode()).hexdigest() for name, value in found.items()}


def _numbers(scores: Any) -> Any:
    """Scores without what times are in."""
    return [[one.get("name"), one.get("value"), one.get("steps")] for one in scores or ()]


def start(setting: Setting, folder: Path, ready: dict[tuple[str, ...], Path]) -> None:
    """A folder in which the setting's first command has ended."""
    if setting.first not in ready:
        place = Path(tempfile.mkdtemp(dir=folder.parent, prefix="ready-"))
        prepare(place)
        if setting.first:
            first = Setting(name="first", words=setting.first)
            assert give(first, place, kill_after=None)
        ready[setting.first] = place
    shutil.copytree(ready[setting.first], folder)


def trial(
    setting: Setting, folder: Path, *, seconds: float, chance: random.Random
) -> tuple[int, dict[str, str]]:
    """Kill and repeat, then let it end; how often it was killed, and what it left."""
    kills = 0
    for _ in range(_KILLS_A_TRIAL):
        if give(setting, folder, kill_after=chance.uniform(0.0, 1.05) * seconds):
            break
        kills += 1
    for _ in range(10):
        if give(setting, folder, kill_after=None):
            return kills, fingerprint(folder)
    raise SystemExit(f"{setting}: it does not come to an end, see {folder}")


def import_everything() -> None:
    """What commands would import, so that their copies of this process have it."""
    os.environ["DDDM_RECIPES"] = str(_RECIPES)  # which those of a trial extend
    import importlib

    for name in (
        *("dddm.cli.commands", "dddm.workflow.run", "dddm.workflow.sweep", "dddm.report.run_page"),
        *("dddm.evaluate.evaluate", "dddm.evaluate.score_images", "dddm.generate.generate"),
        *("dddm_backbones.adm", "dddm_stores.store", "dddm_objectives.directly_denoising"),
        *("dddm_observers.terminal", "torch.optim.adam", "torch._dynamo", "dddm.data.pack"),
    ):
        importlib.import_module(name)


@click.command()
@click.option("--kills", default=200, help="Kills in all settings together.")
@click.option("--seconds", type=float, help="Stop after so many.")
@click.option("--seed", default=0, help="Of the moments.")
@click.option("--only", default="", help="A part of the settings' names.")
def main(kills: int, seconds: float | None, seed: int, only: str) -> None:
    """Kill, resume, compare, and print what was found."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import_everything()
    chance = random.Random(seed)  # noqa: S311 - no secret
    counted: Counter[str] = Counter()
    trials: Counter[str] = Counter()
    expected: dict[Setting, tuple[dict[str, str], float]] = {}
    ready: dict[tuple[str, ...], Path] = {}
    chosen = [setting for setting in settings() if only in str(setting)]
    chance.shuffle(chosen)
    until = time.monotonic() + (seconds or float("inf"))
    base = Path(tempfile.mkdtemp(prefix="dddm-kills-"))
    failed = []
    while sum(counted.values()) < kills and time.monotonic() < until and chosen:
        for setting in list(chosen):
            if sum(counted.values()) >= kills or time.monotonic() > until:
                break
            folder = base / "at-work"
            shutil.rmtree(folder, ignore_errors=True)
            if setting not in expected:
                start(setting, folder, ready)
                began = time.monotonic()
                assert give(setting, folder, kill_after=None)
                expected[setting] = (fingerprint(folder), time.monotonic() - began)
                shutil.rmtree(folder)
            start(setting, folder, ready)
            undisturbed, took = expected[setting]
            killed, found = trial(setting, folder, seconds=took, chance=chance)
            counted[str(setting)] += killed
            trials[str(setting)] += 1
            names = sorted(undisturbed.keys() | found.keys())
            differ = [name for name in names if found.get(name) != undisturbed.get(name)]
            if differ:
                failed.append(f"{setting}: {', '.join(differ)} differ after {killed} kills")
                print(failed[-1], flush=True)
                shutil.copytree(folder, base / f"failed-{len(failed)}")
                chosen.remove(setting)
            else:
                told = f"{sum(counted.values())} kills; {setting}: {killed}, equal"
                print(f"{told} ({took:.1f} s undisturbed)", flush=True)
    print(f"{sum(counted.values())} kills in {sum(trials.values())} trials, {len(failed)} differ")
    for name, count in sorted(counted.items()):
        print(f"  {name}: {count} kills in {trials[name]} trials")
    if failed:
        raise SystemExit(f"see {base}")
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
