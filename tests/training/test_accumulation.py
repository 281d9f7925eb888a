"""`accumulation_steps = "auto"`: by the memory there is, tried before the first step, and kept."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import dddm, invoke, succeeded, write_tiny
from several import UNSCORED, losses_of, write_shared
from stored import stored_rows
from toy_distributions import install
from training_runs import newest, run_tiny

from dddm.core.step import make_step
from dddm.errors import EnvironmentProblem
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training import loop
from dddm.training.accumulation import find_accumulation_steps
from dddm.training.checkpoint import list_checkpoints
from dddm.training.context import RunContext
from dddm.training.event_log import read_events
from dddm.training.run_folder import RunFolder
from dddm.workflow import accumulation
from dddm.workflow.dry_run import estimate_cost
from dddm_backbones.adm import Adm
from dddm_metrics.pixels import PseudoHuber

AUTO = 'train.accumulation_steps="auto"'
# Dropout draws random numbers, of which a trial must not take any.
MORE = ("sample=[]", "train.epochs=2", "train.checkpoint_every_epochs=1", "backbone.dropout=0.1")


def assert_same_bits(one: RunFolder, other: RunFolder) -> None:
    assert losses_of(one.path) == losses_of(other.path)
    ours, theirs = newest(one, "model"), newest(other, "model")
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert torch.equal(stored_rows(one.path), stored_rows(other.path))


def found_in(run: RunFolder | Path) -> int:
    path = run if isinstance(run, Path) else run.path
    return int(json.loads((path / "run.json").read_text())["accumulation_steps"])


def notices_of(run: RunFolder | Path) -> list[str]:
    path = run if isinstance(run, Path) else run.path
    return [event["text"] for event in read_events(path / "events.jsonl", event="notice")]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets memory have room for so many images beside weights and store."""
    folder = tmp_path / "room"
    folder.mkdir()
    path = write_tiny(folder, UNSCORED)
    estimate = estimate_cost(read_recipe(path, overrides=MORE, catalogue=load_catalogue()))
    each, store = estimate.cost.activation_bytes, estimate.store
    assert each is not None
    assert store is not None

    def make(images: float) -> None:
        free = (estimate.constant_bytes + images * each) / 0.9 + store.memory
        monkeypatch.setattr(accumulation, "free_memory", lambda: int(free))

    return make


@pytest.fixture
def most_images(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets a metric find no memory for more than so many images, as a GPU would."""
    distance = PseudoHuber.distance

    def make(most: int) -> None:
        def limited(self: PseudoHuber, *, estimate: Any, target: Any) -> Any:
            if len(estimate) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return distance(self, estimate=estimate, target=target)

        monkeypatch.setattr(PseudoHuber, "distance", limited)

    return make


def test_it_is_as_few_as_memory_has_room_for(tmp_path: Path, room: Callable[[float], None]) -> None:
    """And the run is that of a recipe with this number, bit for bit."""
    path = write_tiny(tmp_path, UNSCORED)
    recipe = read_recipe(path, overrides=[AUTO, *MORE], catalogue=load_catalogue())
    context = RunContext(
        recipe=recipe, folder=RunFolder(tmp_path / "none"), device=torch.device("cpu")
    )
    for images, steps in ((49.9, 10), (50.1, 5), (1e6, 1), (-1, 250)):
        room(images)
        assert accumulation.accumulation_steps(context) == steps
    room(50.1)
    found = run_tiny(tmp_path / "found", AUTO, *MORE)
    (notice,) = notices_of(found)
    assert notice.startswith("accumulation_steps = 5: 50 images at a time fit in ")
    assert found_in(found) == 5
    assert_same_bits(found, run_tiny(tmp_path / "fixed", "train.accumulation_steps=5", *MORE))


def test_a_resumed_run_keeps_it(tmp_path: Path, room: Callable[[float], None]) -> None:
    """Whatever memory there is by then, it ends as if undisturbed."""
    room(50.1)
    whole = run_tiny(tmp_path / "whole", AUTO, *MORE)
    part = run_tiny(tmp_path / "part", AUTO, *MORE)
    shutil.rmtree(list_checkpoints(part.checkpoints)[0])
    room(1e6)
    again = run_tiny(tmp_path / "part", AUTO, *MORE)
    assert found_in(again) == 5
    assert_same_bits(again, whole)


def test_what_does_not_fit_is_cut_finer_without_a_trace(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    room: Callable[[float], None],
    most_images: Callable[[int], None],
) -> None:
    """By the next divisor that does; random numbers and buffers are as without trial."""
    begin, make = Adm.begin, Adm.__init__

    def with_buffer(self: Adm, *args: Any, **more: Any) -> None:
        make(self, *args, **more)
        self.register_buffer("calls", torch.zeros(()))

    def counting(self: Adm, **inputs: Any) -> Any:
        self.get_buffer("calls").add_(1)
        return begin(self, **inputs)

    def watched(*args: Any, **more: Any) -> None:
        before = torch.get_rng_state()
        find_accumulation_steps(*args, **more)
        assert torch.equal(torch.get_rng_state(), before)

    monkeypatch.setattr(loop, "find_accumulation_steps", watched)

    monkeypatch.setattr(Adm, "__init__", with_buffer)
    monkeypatch.setattr(Adm, "begin", counting)
    most_images(60)
    room(130)
    found = run_tiny(tmp_path / "found", AUTO, *MORE)
    assert found_in(found) == 5
    assert notices_of(found)[-1] == "out of memory at first: accumulation_steps = 5, not 2"
    fixed = run_tiny(tmp_path / "fixed", "train.accumulation_steps=5", *MORE)
    assert newest(fixed, "model")["calls"] >= 12 * 5
    assert_same_bits(found, fixed)


def test_the_second_micro_batch_is_tried_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: Callable[[float], None]
) -> None:
    """It meets the gradients of the first, which take memory."""
    tried: list[int] = []

    def note(*args: Any, **more: Any) -> Any:
        outcome = make_step(*args, **more)
        tried.append(len(more["batch"].rows))
        return outcome

    monkeypatch.setattr("dddm.training.accumulation.make_step", note)
    room(50.1)
    run_tiny(tmp_path / "run", AUTO, "train.steps=1", "sample=[]")
    assert tried == [50, 50]


def test_nothing_fits(tmp_path: Path, most_images: Callable[[int], None]) -> None:
    """Not even a single image: the error names what helps."""
    most_images(0)
    with pytest.raises(EnvironmentProblem, match="not even 1 of 250 images") as refused:
        run_tiny(tmp_path / "run", AUTO, "train.steps=1", "sample=[]")
    assert "checkpointing" in str(refused.value)


def test_other_errors_are_no_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: PseudoHuber, *, estimate: Any, target: Any) -> Any:
        raise FloatingPointError("not this")

    monkeypatch.setattr(PseudoHuber, "distance", broken)
    with pytest.raises(Exception, match="not this"):
        run_tiny(tmp_path / "run", AUTO, "train.steps=1", "sample=[]")


def test_activations_that_cannot_be_counted(
    tmp_path: Path, most_images: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is tried whole."""
    monkeypatch.setattr(accumulation, "free_memory", lambda: None)
    most_images(125)
    run = run_tiny(tmp_path / "run", AUTO, "train.steps=1", "sample=[]")
    assert found_in(run) == 2
    assert "memory cannot be counted here" in notices_of(run)[0]


_LIMITED = '''\
import os

import torch
from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import Kind, NoOptions, hookimpl


class Limited(Metric):
    """l1 for which the last of two processes has memory for 32 images."""

    def __init__(self, options):
        pass

    def distance(self, *, estimate, target):
        if os.environ.get("RANK") == "1" and len(estimate) > 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (estimate - target).abs().flatten(1).mean(1)


@hookimpl
def dddm_register(registrar):
    registrar.add(
        Kind.METRIC, "limited", target="limited_metric:Limited", options=NoOptions,
        summary="A distance that needs memory.",
    )
'''


def test_processes_agree(tmp_path: Path) -> None:
    """What does not fit in one of them is cut finer in all; four that resume it count again."""
    install(tmp_path / "site", "limited", limited_metric=("limited", _LIMITED))
    metric = ('[metric]\nuse = "pseudo-huber"\nc = 0.0043\n', '[metric]\nuse = "limited:limited"\n')
    write_shared(tmp_path, metric)

    def run(folder: str, steps: str, *more: str) -> Path:
        words = ("run", "tiny.toml", "--folder", folder, "--set", "sample=[]", *more)
        words = (*words, "--set", f"train.accumulation_steps={steps}")
        succeeded(dddm(*words, cwd=tmp_path, PYTHONPATH=f"{tmp_path / 'site'}"))
        return tmp_path / folder

    found, fixed = run("found", "auto", "--nproc", "2"), run("fixed", "4", "--nproc", "2")
    assert found_in(found) == 4
    assert losses_of(found) == losses_of(fixed)
    assert notices_of(found)[-1] == "out of memory at first: accumulation_steps = 4, not 1"
    longer = run("found", "auto", "--set", "train.epochs=4")
    assert found_in(longer) == 1


def test_the_dry_run_says_it(tmp_path: Path) -> None:
    """That it is found later, and what it would be with some memory."""
    path = write_tiny(tmp_path)
    words = ("run", path, "--dry-run", "--set", "train.accumulation_steps=auto")
    text = invoke(*words, "--memory", "1TB", cwd=tmp_path)
    assert 'accumulation_steps = "auto" is found by the memory there is' in text
    assert "activations of 250 images at a time" in text
    shown = invoke("show", path, "--set", "train.accumulation_steps=auto", cwd=tmp_path)
    assert re.search(r'^accumulation_steps = "auto"$', shown, re.MULTILINE)
