"""A process that hangs or ends is noticed by the others; one that works alone is waited for."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from command_line import dddm
from several import write_shared
from toy_distributions import install

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")

_JOINED: Final = """\
import os, sys, time
import torch
from dddm.training.processes import join

with join(torch.device("cpu")) as processes:
    processes.barrier()
    {body}
print("left in peace")
"""


def two(body: str, **variables: str) -> list[tuple[int, str, float]]:
    """Exit code, output and seconds of two processes that join, without an agent beside them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    began = time.monotonic()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _JOINED.format(body=body)],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "MASTER_ADDR": "localhost",
                "MASTER_PORT": port,
                "WORLD_SIZE": "2",
                "RANK": str(rank),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    ended = []
    for process in started:
        told, _ = process.communicate(timeout=200)
        ended.append((process.returncode, told, time.monotonic() - began))
    return ended


def test_processes_leave_in_peace() -> None:
    """All leave together, and the threads that listen take no notice."""
    for code, told, _ in two("pass"):
        assert code == 0, told
        assert "left in peace" in told


@pytest.mark.parametrize("last", [0, 1])
def test_a_process_waits_for_one_that_leaves_later_no_longer_than_that(last: int) -> None:
    """The first process writes the report when the others are done."""
    body = f"time.sleep(3 * (processes.rank == {last})); began = time.monotonic()"
    ended = two(f"{body}\nprint(f'{{time.monotonic() - began:.1f}} s to leave')")
    assert [code for code, *_ in ended] == [0, 0]
    waited = [float(told.split(" s to leave")[0].split()[-1]) for _, told, _ in ended]
    assert waited[last] < 2
    assert waited[1 - last] < 6


@pytest.mark.parametrize("gone", [0, 1])
def test_a_process_that_ends_is_noticed_while_the_other_waits_elsewhere(gone: int) -> None:
    """As in a CUDA kernel that waits for a peer: no message of gloo is on its way."""
    ended = two(f"os._exit(9) if processes.rank == {gone} else time.sleep(1000)")
    assert ended[gone][0] == 9
    code, told, _ = ended[1 - gone]
    assert code == 1, told


def test_a_process_that_hangs_is_noticed_and_named() -> None:
    """Within a step; the first process says which it is, with what can be done."""
    ended = two(
        "processes.sums([1.0]) if processes.rank == 0 else time.sleep(1000)", DDDM_STEP_SECONDS="3"
    )
    assert "process 1 let the others wait for 3 s within a training step" in ended[0][1]
    assert "DDDM_STEP_SECONDS" in ended[0][1]
    assert ended[1][0] == 1


def test_long_work_of_the_first_process_is_waited_for() -> None:
    """Grids, scores and packing take longer than a step may."""
    body = (
        "processes.from_main(lambda: time.sleep(5)); processes.sums([1.0]); "
        "time.sleep(5 * processes.main); processes.barrier(); processes.sums([1.0])"
    )
    for code, told, _ in two(body, DDDM_STEP_SECONDS="2"):
        assert code == 0, told


def test_tensors_come_to_the_first_process() -> None:
    """Any number of rows, also none, and any type; as they are, by rank."""
    body = """
    mine = torch.arange(6, dtype=torch.bfloat16).view(3, 2)[: 3 * processes.rank] + processes.rank
    found = processes.collect(mine)
    if processes.main:
        assert [len(part) for part in found] == [0, 3], found
        assert found[1].dtype == torch.bfloat16
        assert found[1].flatten().tolist() == [1, 2, 3, 4, 5, 6], found
    else:
        assert found is None"""
    for code, told, _ in two(body):
        assert (code, told) == (0, "left in peace\n")


_MANY: Final = """\
import os, sys
from pathlib import Path
import torch
from dddm.training.processes import join

os.environ["WORLD_SIZE"] = "16"
for rank in range(16):
    if os.fork() == 0:
        os.environ["RANK"] = str(rank)
        with join(torch.device("cpu")) as processes:
            saver = processes.apart()
            for one in (processes, saver):
                one.gather(rank)
                one.from_main(lambda: rank)
            assert processes.sums([1.0]) == [16.0]
            os.write(1, b"%d\\n" % len(list(Path("/proc/self/fd").iterdir())))
            processes.barrier()
        os._exit(0)
for _ in range(16):
    assert os.wait()[1] == 0
"""


def test_processes_are_connected_as_they_speak() -> None:
    """All with all in each of four groups would be 64 connections here, and 4,096 of 1,024."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-c", _MANY],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": port,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    descriptors = sorted(map(int, done.stdout.split()))
    assert len(descriptors) == 16
    assert descriptors[-2] < 50  # the first process listens to all others where they meet


def test_a_wrong_number_of_seconds_is_refused() -> None:
    """By name, in each process."""
    for code, told, _ in two("pass", DDDM_STEP_SECONDS="soon"):
        assert code == 1
        assert "'soon' is no number of seconds" in told


_SLEEPY: Final = '''\
import os
import time

from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import Kind, NoOptions, hookimpl


class Sleepy(Metric):
    """l1 that hangs in the last of several processes."""

    def __init__(self, options):
        self.calls = 0

    def distance(self, *, estimate, target):
        self.calls += 1
        if os.environ["RANK"] == "1" and self.calls == 3:
            time.sleep(1000)
        return (estimate - target).abs().flatten(1).mean(1)


@hookimpl
def dddm_register(registrar):
    registrar.add(
        Kind.METRIC, "sleepy", target="sleepy_metric:Sleepy", options=NoOptions, summary="Hangs."
    )
'''


def test_a_run_of_which_one_process_hangs_ends_with_an_error(tmp_path: Path) -> None:
    """Through the command: the error says so, and nothing outlives it."""
    install(tmp_path / "site", "sleepy", sleepy_metric=("sleepy", _SLEEPY))
    metric = '[metric]\nuse = "pseudo-huber"\nc = 0.0043\n'
    write_shared(tmp_path, (metric, '[metric]\nuse = "sleepy:sleepy"\n'))
    site = f"{tmp_path / 'site'}"
    began = time.monotonic()
    done = dddm(
        *("run", "tiny.toml", "--nproc", "2"), cwd=tmp_path, PYTHONPATH=site, DDDM_STEP_SECONDS="5"
    )
    assert time.monotonic() - began < 150
    assert done.returncode == 6, done.stderr
    assert "process 1 let the others wait for 5 s within a training step" in done.stderr
    assert "Traceback" not in done.stderr
