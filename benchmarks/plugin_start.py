"""How long commands take to start with 50 third-party plugins installed, and without them.

    python benchmarks/plugin_start.py [--plugins 50] [--runs 20]

The plugins are distributions of their own in a temporary folder on the path, each with a module, an
options class of four options and three components.  Every command runs in a process of its own,
with the plugins and without in turn, so that both meet the same machine; an empty Python process
runs beside them.  Wall time is from start to end of the process; CPU time is what it used, which
other work on the machine disturbs less.  Aims: `dddm --help` under 250 ms, `dddm check digits`
under 500 ms, with the plugins.  Takes about a minute.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

COMMANDS: Final = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "dddm --help": [sys.executable, "-m", "dddm", "--help"],
    "dddm check digits": [sys.executable, "-m", "dddm", "check", "digits"],
}
AIMS_MS: Final = {"dddm --help": 250, "dddm check digits": 500}

PLUGIN: Final = '''\
"""Plugin {number} of the benchmark."""

from typing import Literal, final

from attrs import frozen

from dddm.interfaces.plugin import Kind, Registrar, hookimpl, option


@final
@frozen(kw_only=True)
class Options:
    """Options of its components."""

    size: int = option(3, at_least=1, help="How large.")
    rate: float | None = option(None, above=0, below=1, help="How fast.")
    form: Literal["round", "square"] = option("round", help="Which form.")
    levels: tuple[int, ...] = option((1, 2), at_least=0, help="At which levels.")


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare them."""
    for kind, name in (
        (Kind.METRIC, "distance-{number}"),
        (Kind.SCHEDULE, "schedule-{number}"),
        (Kind.OBSERVER, "observer-{number}"),
    ):
        registrar.add(
            kind, name, target="bench_{number}.parts:Part", options=Options, summary="A component."
        )
'''


def install(folder: Path, number: int) -> None:
    """Lay a distribution down as an installer would."""
    info = folder / f"dddm_bench_{number}-1.0.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: dddm-bench-{number}\nVersion: 1.0\n"
    (info / "METADATA").write_text(head + "\nA long description.\n" * 40)
    (info / "entry_points.txt").write_text(f"[dddm]\nbench{number} = bench_{number}\n")
    (folder / f"bench_{number}.py").write_text(PLUGIN.replace("{number}", str(number)))


def measure(words: list[str], *, environment: Mapping[str, str]) -> tuple[float, float]:
    """Milliseconds of wall time and of CPU time that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1000, cpu * 1000


@click.command(context_settings={"show_default": True})
@click.option("--plugins", default=50, help="Third-party plugins.")
@click.option("--runs", default=20, help="Runs of each command, with the plugins and without.")
def main(plugins: int, runs: int) -> None:
    """Print median and largest of each."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(plugins):
            install(Path(folder), number)
        without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        surroundings = {"none": without, str(plugins): {**without, "PYTHONPATH": folder}}
        counted = subprocess.run(
            [sys.executable, "-m", "dddm", "plugins"],
            env=surroundings[str(plugins)], capture_output=True, text=True, check=True,
        ).stdout.count("loaded")  # fmt: skip
        print(f"{counted} plugins are loaded, {plugins} of them third-party")
        times: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(runs):
            for name, words in COMMANDS.items():
                for third_party, environment in surroundings.items():
                    found = measure(words, environment=environment)
                    times.setdefault((name, third_party), []).append(found)
    print("| command | third-party | wall, median ms | largest | CPU, median ms | largest | aim |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for (name, third_party), pairs in times.items():
        cells = [name, third_party]
        for values in zip(*pairs, strict=True):
            cells += [f"{statistics.median(values):.0f}", f"{max(values):.0f}"]
        aim = AIMS_MS.get(name)
        print("| " + " | ".join([*cells, f"under {aim} ms" if aim else ""]) + " |")


if __name__ == "__main__":
    main()
