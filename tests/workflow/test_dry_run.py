"""What a recipe will take, without taking it."""

import json
import re
from pathlib import Path

import pytest
import torch
from command_line import call, invoke, refused, write_tiny
from torch import Tensor
from torch.nn import functional
from training_runs import UNSCORED, losses_of, run_tiny

from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.event_log import read_events
from dddm.training.network import instantiate_backbone
from dddm.training.training_cost import training_cost
from dddm.workflow.dry_run import estimate_cost
from dddm_backbones import layers


def test_what_is_foreseen_is_what_happens(tmp_path: Path) -> None:
    """Parameters, steps, images and bytes of the store are those of the run itself."""
    path = write_tiny(tmp_path, UNSCORED)
    estimate = estimate_cost(read_recipe(path, catalogue=load_catalogue()))
    (started,) = read_events(run_tiny(tmp_path).events, event="run-started")
    assert estimate.cost.parameters == started["parameters"]
    assert estimate.steps == started["total_steps"]
    assert estimate.facts.train_images == started["train_images"]
    assert estimate.stale_images == started["stale_images"]
    # A row takes its four bytes a number; the rest of a store is a few numbers of its own.
    assert estimate.store is not None
    assert estimate.store.memory == pytest.approx(started["store_memory_bytes"], rel=0.01)


def test_nothing_is_made(tmp_path: Path) -> None:
    """The command prints a table and leaves the folder as it was."""
    path = write_tiny(tmp_path)
    text = invoke("run", path, "--dry-run", cwd=tmp_path)
    assert re.search(
        r"network +\d{2,3},\d{3} parameters\n +[1-9][\d.]* MFLOP per forward pass", text
    )
    assert re.search(r"[kM]B: weights [\d.]+ kB, gradient [\d.]+ kB, adam [\d.]+ kB, EMA", text)
    assert "18 steps of 250 images, 3 epochs of 6 steps" in text
    assert "FLOP with the objective directly-denoising" in text
    assert re.search(r"per image: [\d.]+ MFLOP in all, counted in one step", text)
    assert "per image: network evaluations 1 with gradient, " in text
    assert "1,500 of 1×8×8, 10 classes" in text
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.toml"]


def test_all_passes_are_counted(tmp_path: Path) -> None:
    """Annealed sampling makes a pass for each step count: 1 + 5 + 10 evaluations an image."""
    changes = (
        ('use = "fixed-time"', 'use = "annealed"'),
        ("[1, 2]", "[1, 5, 10]"),
        ("= 70", "= 64"),
    )
    path = write_tiny(tmp_path, *changes)
    text = invoke("run", path, "--dry-run", cwd=tmp_path)
    assert "1,024 network evaluations of one image" in text
    assert "annealed at 1, 5, 10 steps: 64 images × 16 evaluations" in text


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("ram", ("384.0 kB target store (ram)",)),
        ("fp16", ("192.0 kB target store (fp16)",)),
        ("mmap", ("24.0 kB target store (mmap)", "on disk", "at most 1.2 MB")),
        ("device", ("384.0 kB of it in device memory",)),
    ],
)
def test_where_the_store_will_be(tmp_path: Path, store: str, says: tuple[str, ...]) -> None:
    """Bytes of 1,500 estimates of 64 numbers; on the disk with those of two checkpoints."""
    path = write_tiny(tmp_path, ('use = "ram"', f'use = "{store}"'))
    text = invoke("run", path, "--dry-run", cwd=tmp_path)
    for words in says:
        assert words in text, text


def test_as_json(tmp_path: Path) -> None:
    """The same for programs: network evaluations in one pass, for one image and for all."""
    path = write_tiny(tmp_path)
    table = json.loads(invoke("run", path, "--dry-run", "--json", cwd=tmp_path))
    assert table["sampling"] == {
        "evaluations": 70 * 2,
        "jobs": [
            {
                "sampler": "fixed-time",
                "steps": [1, 2],
                "images": 70,
                "evaluations_of_image": 2,
                "evaluations": 70 * 2,
            }
        ],
    }
    assert table["training"]["steps"] == 18
    network = table["network"]
    assert network["flops_forward"] == network["flops_begin"] + network["flops_refine"] > 0
    training, sizes = table["training"], table["bytes"]
    assert training["flops_of_image_network"] == 3 * network["flops_forward"]
    assert training["flops_of_image_metric"] == 0  # a difference of pixels has no product
    assert training["flops"] == 18 * 250 * training["flops_of_image"]
    # The gradient of the network's input is not needed.
    assert training["flops_of_image"] == pytest.approx(3 * network["flops_forward"], rel=0.02)
    assert training["flops_are_counted"] is True
    assert training["epochs"] == 3
    assert sizes["weights"] == sizes["gradient"] == sizes["ema"] == 4 * network["parameters"]
    assert sizes["optimizer"] == 2 * sizes["weights"]


def test_what_the_optimizer_keeps_is_counted(tmp_path: Path) -> None:
    """Adam two numbers for each weight, momentum one, plain descent none."""
    path = write_tiny(tmp_path)
    for words, numbers in (
        ((), 2),
        (("--set", "optimizer.use=sgd", "--set", "optimizer.momentum=0.9"), 1),
        (("--set", "optimizer.use=sgd", "--set", "optimizer.momentum=0.0"), 0),
    ):
        sizes = json.loads(invoke("run", path, "--dry-run", "--json", *words, cwd=tmp_path))[
            "bytes"
        ]
        assert sizes["optimizer"] == numbers * sizes["weights"]


@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_activations_are_those_that_a_step_saves(
    checkpointing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What autograd keeps of the network on a CPU, image by image, is what the dry run counts."""
    words = (
        'metric={use="l2"}',
        "backbone.classes=false",
        f"backbone.checkpointing={checkpointing}",
    )
    recipe = read_recipe("digits", catalogue=load_catalogue(), overrides=words)
    facts = DatasetInfo(shape=ImageShape(channels=1, height=8, width=8), train_images=1500)
    backbone = instantiate_backbone(recipe, shape=facts.shape, classes=0)

    def upsampled(x_BCHW: Tensor, weight_OC33: Tensor, bias_O: Tensor | None) -> Tensor:
        """As on other devices: a CPU has a short cut."""
        twice_BCHW = functional.interpolate(x_BCHW, scale_factor=2, mode="nearest")
        return functional.conv2d(twice_BCHW, weight_OC33, bias_O, padding=1)

    monkeypatch.setattr(layers, "convolve_upsampled", upsampled)

    def saved(count: int) -> int:
        kept: dict[int, int] = {}
        alive: list[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            alive.append(tensor)
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        x_BCHW = torch.randn(count, *facts.shape.as_tuple)
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        ):
            backbone(x_t=x_BCHW, estimate=x_BCHW, t=torch.ones(count), label=None)
        return sum(kept.values())

    each = (saved(6) - saved(2)) / 4
    cost = training_cost(recipe, facts=facts)
    # The loss keeps a few numbers of an image too.
    assert cost.activation_bytes == pytest.approx(each, rel=0.01)


def test_what_fits_in_some_memory(tmp_path: Path) -> None:
    """The most images of which a whole number makes up the batch; weights and store come first."""
    path = write_tiny(tmp_path)
    words = ("run", path, "--dry-run", "--set", "targets.use=device")
    sizes = json.loads(invoke(*words, "--json", cwd=tmp_path))["bytes"]
    each, constant = sizes["activations_of_image"], sizes["constant_on_device"]
    assert constant == sum(
        sizes[name] for name in ("weights", "gradient", "optimizer", "ema", "target_store_device")
    )
    for room, images in ((49.9, 25), (50.1, 50), (1e9, 250), (0.9, 0)):
        memory = round((constant + room * each) / 0.9)
        found = invoke(*words, "--json", "--memory", f"{memory / 1000!r}kB", cwd=tmp_path)
        assert json.loads(found)["fits"] == {
            "memory": memory,
            "images": images,
            "accumulation_steps": 250 // images if images else None,
        }
    text = invoke(*words, "--memory", "1TiB", cwd=tmp_path)
    assert "in 1.1 TB: 250 images at a time, train.accumulation_steps = 1" in text
    assert re.search(r"[kM]B activations of 250 images at a time, [\d.]+ kB each\n", text)
    lower = invoke(*words, "--set", "train.precision=bfloat16", "--memory", "1 kB", cwd=tmp_path)
    assert "each, if float32 and not compiled" in lower
    assert "not even the smallest micro-batch fits in 1.0 kB" in lower


@pytest.mark.parametrize("memory", ["80", "80 gigabytes", "1.2.3GB", "0GB", "-1GB"])
def test_a_memory_without_sense_is_refused(tmp_path: Path, memory: str) -> None:
    """So is one where nothing asks for it."""
    path = write_tiny(tmp_path)
    refused(call("run", path, "--dry-run", "--memory", memory, cwd=tmp_path), "is no size", code=2)
    refused(call("run", path, "--memory", "80GB", cwd=tmp_path), "add --dry-run", code=2)


def test_the_time_that_a_run_takes_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From operations and the network's speed; a network of 1 TFLOP/s would take this long."""
    path = write_tiny(tmp_path)
    refused(call("run", path, "--measure", cwd=tmp_path), "add --dry-run", code=2)
    words = ("run", path, "--dry-run", "--measure", "--device", "cpu")
    measured = json.loads(invoke(*words, "--json", cwd=tmp_path))
    monkeypatch.setattr("dddm.training.speed.network_speed", lambda *_, **__: 1e12)
    found = json.loads(invoke(*words, "--json", cwd=tmp_path))
    assert found["seconds"]["training"] == pytest.approx(1.2e-12 * found["training"]["flops"])
    forward = found["network"]["flops_forward"]
    assert found["seconds"]["samples"] == pytest.approx(1e-12 * 70 * 2 * forward)
    ratio = measured["seconds"]["training"] / measured["seconds"]["samples"]
    assert ratio == pytest.approx(found["seconds"]["training"] / found["seconds"]["samples"])
    assert 1e8 < measured["training"]["flops"] / measured["seconds"]["training"] < 1e13
    text = invoke(*words, cwd=tmp_path)
    assert re.search(r"time +about .* of training and .* of samples, in float32", text)


def test_of_the_papers_row_the_metric_costs_most(tmp_path: Path) -> None:
    """CIFAR-10: 7.1 EFLOP, of which Pseudo-LPIPS at 224 pixels, with its gradient, takes 64 %."""
    text = invoke("run", "cifar10", "--dry-run", cwd=tmp_path)
    assert "48,000 steps of 1,024 images, 1,000 epochs of 48 steps" in text
    assert "7.12 EFLOP with the objective directly-denoising" in text
    assert "network evaluations 1 with gradient, 52.68 GFLOP" in text
    assert "the metric pseudo-lpips with its gradient, 92.10 GFLOP" in text
    assert "weights 214.1 MB, gradient 214.1 MB, adam 428.1 MB, EMA 214.1 MB" in text


def test_a_second_target_is_counted(tmp_path: Path) -> None:
    """The guided mix has Pseudo-LPIPS look at one more image, without gradient.

    The estimate takes a pass and one back to its pixels, each target a pass: 2 + 1 and 2 + 2.
    """
    both = []
    for mix in ("false", "true"):
        words = ("run", "cifar10", "--dry-run", "--json", "--set", f"objective.guided_mix={mix}")
        both.append(json.loads(invoke(*words, cwd=tmp_path))["training"])
    plain, mixed = (training["flops_of_image_metric"] for training in both)
    assert mixed / plain == pytest.approx(4 / 3, rel=1e-3)
    assert both[0]["flops_of_image_network"] == both[1]["flops_of_image_network"]


@pytest.mark.parametrize(
    ("duration", "steps"),
    [("train.steps=7", 7), ("train.images=1001", 5), ("train.training_flops=1e10", None)],
)
def test_every_way_to_say_how_long(tmp_path: Path, duration: str, steps: int | None) -> None:
    """Steps; images, rounded up to whole steps; operations, as nearly as whole steps allow."""
    path = write_tiny(tmp_path)
    words = ("run", path, "--dry-run", "--json", "--set", duration)
    training = json.loads(invoke(*words, cwd=tmp_path))["training"]
    each = 250 * training["flops_of_image"]
    if steps is None:
        steps = round(1e10 / each)
    assert training["steps"] == steps
    assert training["epochs"] == steps / 6
    assert training["flops"] == steps * each


def test_a_run_by_operations_makes_the_steps_that_were_foreseen(tmp_path: Path) -> None:
    """Training counts what the dry run counts, and may end within an epoch."""
    path = write_tiny(tmp_path, UNSCORED)
    estimate = estimate_cost(read_recipe(path, catalogue=load_catalogue()))
    eight = 8.2 * 250 * estimate.cost.flops
    done = run_tiny(tmp_path, f"train.training_flops={eight!r}", "sample=[]")
    assert len(losses_of(done)) == 8
    (started,) = read_events(done.events, event="run-started")
    assert (started["total_steps"], started["total_epochs"]) == (8, 2)
    epochs = list(read_events(done.events, event="epoch-done"))
    assert [(event["epoch"], event["step"]) for event in epochs] == [(0, 6), (1, 8)]
    assert epochs[-1]["diagnosis"] is not None
