"""One process, two or four: the same run, whoever does the work and however it is stopped."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from command_line import dddm, environment, succeeded
from safetensors.torch import load_file
from several import (
    is_alive,
    kill_all,
    losses_of,
    start,
    wait_until,
    wait_until_step,
    workers_of,
    write_shared,
)
from stored import stored_rows

from dddm.interfaces.objective import Outcome
from dddm.training.processes import ALONE, ParallelStep

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="looks at processes through /proc"
)

LONG = ("epochs = 3", "epochs = 11")
NO_SAMPLES = ("--set", "sample=[]")


def newest(run: Path) -> dict[str, torch.Tensor]:
    """The weights of the newest checkpoint."""
    return load_file(max((run / "checkpoints").glob("step-*")) / "model.safetensors")


def assert_same_bits(one: Path, other: Path) -> None:
    """Losses, weights and target store are equal."""
    assert losses_of(one) == losses_of(other)
    ours, theirs = newest(one), newest(other)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert torch.equal(stored_rows(one), stored_rows(other))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """55 steps in one process."""
    folder = tmp_path_factory.mktemp("alone")
    write_shared(folder, LONG)
    succeeded(dddm("run", "tiny.toml", "--folder", "run", *NO_SAMPLES, cwd=folder))
    return folder / "run"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in two processes."""
    folder = tmp_path_factory.mktemp("two")
    write_shared(folder, LONG)
    succeeded(dddm("run", "tiny.toml", "--folder", "run", "--nproc", "2", *NO_SAMPLES, cwd=folder))
    return folder / "run"


def assert_equal_to_rounding(one: Path, other: Path) -> None:
    """Losses of at least 50 steps, weights and target store agree."""
    assert len(losses_of(one)) == 55
    assert losses_of(other) == pytest.approx(losses_of(one), rel=1e-4)
    for name, tensor in newest(one).items():
        torch.testing.assert_close(newest(other)[name], tensor, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(stored_rows(other), stored_rows(one), atol=1e-3, rtol=1e-3)


def test_two_processes_are_one(alone: Path, two: Path) -> None:
    """Batches, noise, losses, gradients and estimates do not depend on who computes them."""
    assert_equal_to_rounding(alone, two)


def test_four_processes_with_accumulation_and_a_store_on_the_disk_are_one(
    tmp_path: Path, alone: Path
) -> None:
    """Nor does it matter that each works its part off in two, and where estimates are kept."""
    write_shared(tmp_path, LONG, ('use = "ram"', 'use = "mmap"'))
    more = ("--set", "train.accumulation_steps=2", *NO_SAMPLES)
    succeeded(dddm("run", "tiny.toml", "--folder", "run", "--nproc", "4", *more, cwd=tmp_path))
    assert_equal_to_rounding(alone, tmp_path / "run")
    assert len(list((tmp_path / "run" / "memory" / "estimate").glob("*.rows"))) == 64


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients_are_rounded_as_asked(tmp_path: Path, precision: torch.dtype) -> None:
    """Before they are sent, and not otherwise."""
    place = (tmp_path / "store").as_uri()
    dist.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    try:
        network: Any = torch.nn.Linear(50, 3)
        step = ParallelStep(
            network, device=torch.device("cpu"), processes=ALONE, precision=precision
        )
        x = torch.randn(7, 50)
        loss: Any = step(lambda: Outcome(loss=network(x).square().sum())).loss
        loss.backward()
        (own,) = torch.autograd.grad(network(x).square().sum(), network.weight)
    finally:
        dist.destroy_process_group()
    assert torch.equal(network.weight.grad, own.to(precision).float())
    assert not torch.equal(own, own.bfloat16().float())


def test_gradients_are_sent_in_bfloat16(tmp_path: Path) -> None:
    """In a whole run: weights after a step are those of float32, but for rounding."""
    write_shared(tmp_path)
    steps = ("--set", "optimizer.use=sgd", "--set", "train.steps=1", *NO_SAMPLES)

    def step(precision: str) -> dict[str, torch.Tensor]:
        more = ("--set", f"train.gradient_precision={precision}", "--nproc", "2", *steps)
        succeeded(dddm("run", "tiny.toml", "--folder", precision, *more, cwd=tmp_path))
        return newest(tmp_path / precision)

    full, half = step("float32"), step("bfloat16")
    assert any(not torch.equal(half[name], tensor) for name, tensor in full.items())
    for name, tensor in full.items():
        torch.testing.assert_close(half[name], tensor, atol=1e-4, rtol=0)


@pytest.mark.parametrize("store", ["ram", "mmap"])
def test_a_run_goes_on_with_another_number_of_processes(
    tmp_path: Path, alone: Path, store: str
) -> None:
    """Two processes are stopped within an epoch, four go on and are stopped, one ends it."""
    write_shared(tmp_path, LONG, ('use = "ram"', f'use = "{store}"'))
    for processes, after in (("2", 12), ("4", 28)):
        words = ("run", "tiny.toml", "--folder", "run", "--nproc", processes, *NO_SAMPLES)
        process = start(tmp_path, *words)
        wait_until_step(after, run=tmp_path / "run", process=process)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 75, error
        assert error.count("give the same command again") == 1
    done = dddm("run", "tiny.toml", "--folder", "run", *NO_SAMPLES, cwd=tmp_path)
    succeeded(done)
    assert "saved by 4 processes, resumed on 1" in done.stderr
    assert_equal_to_rounding(alone, tmp_path / "run")


def test_stopped_and_killed_it_ends_with_the_same_bits(tmp_path: Path, two: Path) -> None:
    """Ctrl-C, `kill -9` on one worker, `kill -9` on all: two processes end as if undisturbed."""
    write_shared(tmp_path, LONG)
    run, words = tmp_path / "run", ("run", "tiny.toml", "--folder", "run", "--nproc", "2")

    process = start(tmp_path, *words, *NO_SAMPLES)
    wait_until_step(7, run=run, process=process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "Traceback" not in error

    process = start(tmp_path, *words, *NO_SAMPLES)
    wait_until_step(18, run=run, process=process)
    workers = workers_of(process.pid)
    os.kill(workers[-1], signal.SIGKILL)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGKILL
    assert "it was killed by SIGKILL" in error
    assert "Traceback" not in error
    assert not any(is_alive(worker) for worker in workers)

    process = start(tmp_path, *words, *NO_SAMPLES)
    wait_until_step(31, run=run, process=process)
    workers = workers_of(process.pid)
    assert len(workers) >= 2
    kill_all(process)
    wait_until(lambda: not any(is_alive(worker) for worker in workers), seconds=10)

    succeeded(dddm(*words, *NO_SAMPLES, cwd=tmp_path))
    assert_same_bits(run, two)


def test_an_estimate_that_one_process_has_lost_sends_both_back(tmp_path: Path, two: Path) -> None:
    """Both go on from the checkpoint before, and one of them says so."""
    write_shared(tmp_path, LONG, ('use = "ram"', 'use = "mmap"'))
    run, words = tmp_path / "run", ("run", "tiny.toml", "--folder", "run", "--nproc", "2")
    process = start(tmp_path, *words, *NO_SAMPLES)
    wait_until_step(23, run=run, process=process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 75
    before, saved = sorted((run / "checkpoints").glob("step-*"))
    then, now = (load_file(each / "memory-estimate-0001.safetensors") for each in (before, saved))
    name = next(key for key in now if key.endswith(".at") and (now[key] != then[key]).any())
    file = run / "memory" / "estimate" / f"shard-{name.removesuffix('.at')}.rows"
    contents = bytearray(file.read_bytes())
    for place in now[name][now[name] != then[name]].tolist():
        contents[place * 4 * 64] ^= 1
    file.write_bytes(contents)

    done = dddm(*words, *NO_SAMPLES, cwd=tmp_path)
    succeeded(done)
    assert done.stderr.count(f"{saved.name} lacks its estimates: {file.name}") == 1
    assert_same_bits(run, two)


def test_torchrun_does_the_same(tmp_path: Path, two: Path) -> None:
    """`torchrun -m dddm run` is `dddm run --nproc`, and only the first process speaks."""
    write_shared(tmp_path, LONG)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "dddm", "run", "tiny.toml", "--folder", "run", *NO_SAMPLES],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["run/report.html"]
    assert done.stderr.count("run folder run") == 1
    assert_same_bits(tmp_path / "run", two)


def test_a_process_group_of_one_is_a_run(tmp_path: Path, alone: Path) -> None:
    """`--nproc 1` goes through DistributedDataParallel and changes no bit."""
    write_shared(tmp_path, LONG)
    succeeded(
        dddm("run", "tiny.toml", "--folder", "run", "--nproc", "1", *NO_SAMPLES, cwd=tmp_path)
    )
    assert_same_bits(tmp_path / "run", alone)


def test_a_finished_run_is_not_trained_again(tmp_path: Path, two: Path) -> None:
    """The command ends at once, with any number of processes."""
    write_shared(tmp_path, LONG)
    shutil.copytree(two, tmp_path / "run")
    words = ("run", "tiny.toml", "--folder", "run", "--nproc", "4", *NO_SAMPLES)
    assert succeeded(dddm(*words, cwd=tmp_path)).strip() == "run/report.html"
    assert_same_bits(tmp_path / "run", two)


def test_processes_that_cannot_share_the_shards_are_refused(tmp_path: Path) -> None:
    """Before anything is started: the numbers that can are named."""
    write_shared(tmp_path)
    done = dddm("run", "tiny.toml", "--nproc", "3", cwd=tmp_path)
    assert done.returncode == 2
    assert "3 processes cannot share 64 shards" in done.stderr
    assert "1, 2, 4, 8, 16, 32, 64" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_accumulation_that_cannot_cut_a_part_is_refused(tmp_path: Path) -> None:
    """The first process to refuse is named, with its own error and exit code."""
    write_shared(tmp_path)
    words = ("--set", "train.accumulation_steps=256")
    done = dddm("run", "tiny.toml", "--nproc", "2", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "each of 2 processes has 128 images of a batch" in done.stderr
    assert done.stderr.count("error:") == 1


def test_a_folder_holds_one_run_at_a_time(tmp_path: Path) -> None:
    """A second run in the same folder is refused while the first is at work."""
    write_shared(tmp_path, ("epochs = 3", "epochs = 500"))
    process = start(tmp_path, "run", "tiny.toml", "--folder", "run")
    try:
        wait_until_step(1, run=tmp_path / "run", process=process)
        done = dddm("run", "tiny.toml", "--folder", "run", cwd=tmp_path)
        assert done.returncode == 6
        assert "another run is using this folder" in done.stderr
    finally:
        kill_all(process)
