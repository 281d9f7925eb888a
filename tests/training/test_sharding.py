"""`train.sharding = "full"`: the run of whole weights, by processes that each have a part."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import torch
import torch.distributed as dist
from command_line import call, dddm, refused, succeeded
from safetensors.torch import load_file
from several import kill_all, losses_of, start, wait_until_step, write_shared
from stored import stored_rows

from dddm.errors import UsageError
from dddm.training.sharding import shard

OBJECTIVES: Final = (
    "digits",
    "digits_denoising",
    "digits_flow_matching",
    "digits_consistency",
    "digits_consistency_ratio",
    "digits_energy_score",
    "digits_drifting",
    "digits_directly_drifting",
)
"""A recipe of every built-in objective that needs no forward-mode derivatives."""

_RUNS: Final = """\
import sys
from pathlib import Path

import torch

from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training import checkpointing
from dddm.training.context import RunContext
from dddm.training.processes import join
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.training.training import Training
from dddm.workflow.run import run

SMALL = [
    "backbone.channels=8", "backbone.head_width=8", "backbone.multipliers=[1, 2]",
    "backbone.attention=[8]", "train.steps=4", "train.batch_images=480", "train.shards=4",
    "train.accumulation_steps=2", "train.extra_ema_decays=[0.5]", "sample=[]",
]
place, sharding, *names = sys.argv[1:]
make = Training.__attrs_post_init__


def made(self):
    make(self)
    for network in (self.parts.backbone, self.ema.backbone):
        for parameter in network.parameters():
            own = parameter.to_local() if sharding == "full" else parameter
            least = -(-len(parameter) // processes.count) if sharding == "full" else len(parameter)
            assert len(own) <= least, "a process has its part"


def gathered(training):
    groups = gather(training)
    place = "meta" if sharding == "full" and not processes.main else "cpu"
    for group in groups.values():
        assert {tensor.device.type for tensor in group.values() if tensor.ndim} <= {place}
    return groups


gather, checkpointing._what_all_have = checkpointing._what_all_have, gathered
Training.__attrs_post_init__ = made
cpu = torch.device("cpu")
with join(cpu) as processes:
    for name in names:
        overrides = [*SMALL, f'train.sharding="{sharding}"']
        recipe = read_recipe(name, overrides=overrides, catalogue=load_catalogue())
        folder = Path(place) / name
        processes.from_main(lambda: prepare_folder(recipe, folder) and None)
        run(RunContext(recipe=recipe, folder=RunFolder(folder), device=cpu, processes=processes))
"""


NO_SAMPLES: Final = ("--set", "sample=[]")


def newest(run: Path, group: str = "model") -> dict[str, torch.Tensor]:
    """A group of tensors of the newest checkpoint."""
    return load_file(max((run / "checkpoints").glob("step-*")) / f"{group}.safetensors")


def run_all(folder: Path, names: tuple[str, ...], *, processes: int, sharding: str) -> Path:
    """Four steps of each recipe, by so many processes of one group."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    common = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    place = folder / f"{sharding}-{processes}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _RUNS, str(place), sharding, *names],
            env={**os.environ, **common, "WORLD_SIZE": str(processes), "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    errors = [process.communicate(timeout=500)[1] for process in started]
    assert not any(process.returncode for process in started), errors
    return place


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process without sharding."""
    return run_all(tmp_path_factory.mktemp("whole"), OBJECTIVES, processes=1, sharding="none")


@pytest.mark.parametrize(
    ("processes", "names"), [(1, OBJECTIVES[-1:]), (2, OBJECTIVES), (4, OBJECTIVES[::7])]
)
def test_every_objective_trains_as_without(
    tmp_path: Path, whole: Path, processes: int, names: tuple[str, ...]
) -> None:
    """Losses to 1e-5; weights, averages and the optimizer's state are saved whole."""
    sharded = run_all(tmp_path, names, processes=processes, sharding="full")
    for name in names:
        assert len(losses_of(whole / name)) == 4
        assert losses_of(sharded / name) == pytest.approx(losses_of(whole / name), rel=1e-5)
        for group in ("model", "ema", "ema-0.5", "optimizer"):
            ours, theirs = newest(sharded / name, group), newest(whole / name, group)
            assert ours.keys() == theirs.keys()
            for key, tensor in theirs.items():
                torch.testing.assert_close(ours[key], tensor, atol=1e-4, rtol=1e-3)


def test_it_ends_with_the_same_bits_and_goes_on_without(tmp_path: Path) -> None:
    """Killed and stopped, as if undisturbed; one process goes on with whole weights."""
    write_shared(tmp_path)
    sharded = ("run", "tiny.toml", "--nproc", "2", "--set", "train.sharding=full")
    words = (*sharded, *NO_SAMPLES)
    grids = ("--set", "train.sample_every_epochs=1")
    succeeded(dddm(*sharded, "--folder", "calm", *grids, cwd=tmp_path))
    assert len(list((tmp_path / "calm" / "progress").iterdir())) == 3
    run = tmp_path / "run"
    process = start(tmp_path, *words, "--folder", "run")
    wait_until_step(7, run=run, process=process)
    kill_all(process)
    process = start(tmp_path, *words, "--folder", "run")
    wait_until_step(11, run=run, process=process)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    succeeded(dddm(*words, "--folder", "run", cwd=tmp_path))
    assert losses_of(run) == losses_of(tmp_path / "calm")
    for group in ("model", "ema", "optimizer"):
        ours, theirs = newest(run, group), newest(tmp_path / "calm", group)
        assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    assert torch.equal(stored_rows(run), stored_rows(tmp_path / "calm"))
    alone = ("run", "tiny.toml", "--set", "train.epochs=4", *NO_SAMPLES)
    succeeded(dddm(*alone, "--folder", "run", cwd=tmp_path))
    succeeded(dddm(*alone, "--folder", "whole", cwd=tmp_path))
    assert losses_of(run) == pytest.approx(losses_of(tmp_path / "whole"), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("digits_mean_flow", (), "derivatives"),
        ("digits", ("train.compile=true",), "compile: "),
        ("digits", ("train.precision=float16",), "precision: "),
        ("digits", ("train.score_every_epochs=1",), "score_every_epochs: "),
    ],
)
def test_what_cannot_be_sharded_is_refused(
    tmp_path: Path, name: str, more: tuple[str, ...], says: str
) -> None:
    """When the recipe is read."""
    words = [word for one in ("train.sharding=full", *more) for word in ("--set", one)]
    refused(call("check", name, *words, cwd=tmp_path), says, "sharding", code=3)


def test_weights_that_are_stored_channels_last_are_refused(tmp_path: Path) -> None:
    """FSDP2 would fail on them with words of its own."""
    place = (tmp_path / "store").as_uri()
    dist.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    try:
        network: Any = torch.nn.Conv2d(3, 4, 3)
        network.to(memory_format=torch.channels_last)
        with pytest.raises(UsageError, match="weight is stored channels-last"):
            shard(
                network, optimizer=torch.optim.SGD(network.parameters()), device=torch.device("cpu")
            )
    finally:
        dist.destroy_process_group()
