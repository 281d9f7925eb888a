"""Objectives of every sort give the same run however its work is shared and whenever it stops."""

import os
import subprocess
import sys
from pathlib import Path

import objective_runs
import pytest
import torch
from objective_runs import RECIPES, TOYS, install_toys, losses_of, run_toy
from safetensors.torch import load_file

from dddm.errors import StoppedEarly
from dddm.interfaces.observer import Event, Observer, StepDone
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.training.checkpoint import list_checkpoints
from dddm.training.event_log import read_events
from dddm.training.events import Subscriber
from dddm.training.run_folder import RunFolder

HERE = Path(__file__).parents[1] / "toys"
EVERY = (*TOYS, *RECIPES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed distributions that has the toys' package."""
    folder = tmp_path_factory.mktemp("site")
    install_toys(folder)
    return folder


@pytest.fixture(scope="module")
def catalogue(site: Path) -> Catalogue:
    """What is installed, and the toys, found through their entry point."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        return load_catalogue()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> dict[str, RunFolder]:
    """Each run in this process."""
    folder = tmp_path_factory.mktemp("alone")
    return {name: run_toy(folder, name, catalogue=catalogue) for name in EVERY}


class _StopsAfterTwo(Observer):
    """Asks the run to stop when the second step is done."""

    def on_event(self, event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 2:
            raise StoppedEarly("two steps are enough")


STOPS_AFTER_TWO = Subscriber(title="a test", make=_StopsAfterTwo)


def launched(site: Path, folder: Path, *, processes: int, accumulation: int) -> None:
    """All of them in several processes, one after the other."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(processes), objective_runs.__file__),
            *(str(folder), str(accumulation), *EVERY),
        ],
        # Its own cache, so that what is made before training is made by one of the processes.
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{site}:{HERE}",
            "DDDM_CACHE": str(folder / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def newest(folder: RunFolder, group: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(
        list_checkpoints(folder.checkpoints)[0] / f"{group}.safetensors"
    )
    return tensors


def assert_same_run(one: RunFolder, other: RunFolder) -> None:
    """Losses and weights agree to rounding."""
    assert len(losses_of(one)) == 6
    assert losses_of(other) == pytest.approx(losses_of(one), rel=1e-4)
    theirs = newest(other, "model")
    for name, tensor in newest(one, "model").items():
        torch.testing.assert_close(theirs[name], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", EVERY)
def test_accumulation_changes_nothing(
    tmp_path: Path, alone: dict[str, RunFolder], catalogue: Catalogue, name: str
) -> None:
    """Two micro-batches give the losses and weights of one batch."""
    cut = run_toy(tmp_path, name, "train.accumulation_steps=2", catalogue=catalogue)
    assert_same_run(alone[name], cut)


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (4, 2)])
def test_processes_change_nothing(
    tmp_path: Path, site: Path, alone: dict[str, RunFolder], processes: int, accumulation: int
) -> None:
    """Two and four processes, without and with accumulation, give the losses and weights of one."""
    launched(site, tmp_path, processes=processes, accumulation=accumulation)
    for name in EVERY:
        assert_same_run(alone[name], RunFolder(tmp_path / name))


@pytest.mark.parametrize("name", EVERY)
def test_resumed_is_uninterrupted(
    tmp_path: Path, alone: dict[str, RunFolder], catalogue: Catalogue, name: str
) -> None:
    """A run that is stopped after its second step and resumed ends with the same bits."""
    with pytest.raises(StoppedEarly):
        run_toy(tmp_path, name, catalogue=catalogue, observers=[STOPS_AFTER_TWO])
    assert len(losses_of(RunFolder(tmp_path / name))) < 6
    resumed = run_toy(tmp_path, name, catalogue=catalogue)
    assert losses_of(resumed) == losses_of(alone[name])
    for file in list_checkpoints(alone[name].checkpoints)[0].glob("*.safetensors"):
        ours, theirs = load_file(file), newest(resumed, file.stem)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items()), file.stem


def test_dropout_drops_the_same_in_a_frozen_pass(tmp_path: Path, catalogue: Catalogue) -> None:
    """A frozen pass of a network with dropout is the pass before it; the toy itself compares."""
    run_toy(tmp_path, "twice", catalogue=catalogue, steps=2, dropout=0.3)


def test_sets_without_classes_are_of_the_whole(tmp_path: Path, catalogue: Catalogue) -> None:
    """A network without classes is compared with images of all kinds."""
    folder = run_toy(tmp_path, "sets", catalogue=catalogue, steps=2, classes=False)
    assert len(losses_of(folder)) == 2


def test_memory_of_the_objectives_own(alone: dict[str, RunFolder]) -> None:
    """Rows that are no images grow deeper; fields and unwritten rows are as they were declared."""
    folder = alone["chain"]
    depth = newest(folder, "memory-depth-0000")
    rows = torch.cat([depth[key] for key in sorted(depth) if key.endswith(".rows")])
    assert rows.view(torch.float32).max() >= 1
    assert len(rows) == 640
    depths = [event["numbers"]["depth"] for event in read_events(folder.events, event="step-done")]
    assert depths[0] == 0
    assert depths[-1] > 0


def test_nothing_of_a_store_shows_without_memory(alone: dict[str, RunFolder]) -> None:
    """An objective without memory opens no store: none in folder, log, checkpoint or page."""
    folder = alone["plain"]
    assert not folder.memory.exists()
    checkpoint = list_checkpoints(folder.checkpoints)[0]
    assert not list(checkpoint.glob("memory*"))
    assert "store" not in folder.events.read_text()
    assert "store" not in folder.recipe.read_text()
    page = folder.report.read_text()
    assert "target store" not in page
    assert "Leak" not in page


def test_state_of_its_own_is_kept(alone: dict[str, RunFolder]) -> None:
    """What an objective keeps beside a memory is in the checkpoint, and its numbers in the log."""
    weight = newest(alone["counting"], "objective")["weight"]
    assert float(weight) == pytest.approx(1.01**6)
    steps = list(read_events(alone["counting"].events, event="step-done"))
    assert steps[3]["numbers"]["weight"] == pytest.approx(1.01**3)
