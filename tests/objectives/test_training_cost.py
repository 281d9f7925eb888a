"""The dry run counts what a real step computes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from command_line import TINY
from objective_runs import RECIPES, install_toys, recipe_text, run_toy
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from dddm.core.flops import Flops
from dddm.errors import RecipeError
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training import loop
from dddm.training.run_folder import RunFolder
from dddm.training.training_cost import TrainingCost, steps_of, training_cost
from dddm_backbones import layers

DIGITS = DatasetInfo(
    shape=ImageShape(channels=1, height=8, width=8),
    classes=tuple("0123456789"),
    train_images=1_500,
)


def _as_other_devices(x_BCHW: Tensor, weight_OC33: Tensor, bias_O: Tensor | None) -> Tensor:
    """The convolution of an upsampled image, which the network cuts short on a CPU."""
    upsampled_BCHW = functional.interpolate(x_BCHW, scale_factor=2, mode="nearest")
    return functional.conv2d(upsampled_BCHW, weight_OC33, bias_O, padding=1)


class _Distances(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts pairs times dimensions of `torch.cdist`, as a difference, a square and a sum take."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if "cdist_forward" in str(func) or "euclidean_dist" in str(func):
            first, second = args[:2]
            self.flops += 2 * first.numel() * second.shape[-2]
        return func(*args, **(kwargs or {}))


def counted_in_training(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, *overrides: str
) -> tuple[float, RunFolder]:
    """What torch counts in the second step of a real run on the CPU, forward and backward."""
    found: list[float] = []
    original = loop._forward_and_backward

    def count(*args: Any, **more: Any) -> Any:
        distances = _Distances()
        with FlopCounterMode(display=False) as counter, distances:
            outcome = original(*args, **more)
        found.append(counter.get_total_flops() + distances.flops)
        return outcome

    monkeypatch.setattr(layers, "convolve_upsampled", _as_other_devices)
    monkeypatch.setattr(loop, "_forward_and_backward", count)
    # torch does not count the attention of a CPU.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        done = run_toy(folder, name, *overrides, catalogue=load_catalogue())
    return found[1], done


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_takes_the_operations_that_are_foreseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of every objective: network, second passes, derivatives, comparisons and their kernels."""
    counted, done = counted_in_training(tmp_path, name, monkeypatch, "train.steps=2")
    recipe = read_recipe(done.recipe, catalogue=load_catalogue())
    cost = training_cost(recipe, facts=DIGITS)
    assert cost.step_flops is not None
    assert recipe.train.batch_images * cost.flops == pytest.approx(counted, rel=1e-6)


def test_where_a_step_needs_values_a_formula_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The toy looks at labels; of a forward-mode derivative, the formula has what torch counts."""
    install_toys(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue = load_catalogue()
    for name in ("sets", "flowing"):
        file = tmp_path / f"{name}.toml"
        file.write_text(recipe_text(name))
        cost = training_cost(
            read_recipe(file, catalogue=catalogue, overrides=["backbone.channels=32"]), facts=DIGITS
        )
        if name == "sets":
            assert cost.step_flops is None
            assert cost.flops == 3 * cost.network.forward
        else:
            assert cost.network_flops == pytest.approx(cost.step_flops, rel=0.02)


def test_steps_follow_from_the_budget(tmp_path: Path) -> None:
    """As nearly as whole steps allow, and never none."""
    file = tmp_path / "tiny.toml"
    file.write_text(TINY.replace("epochs = 3", "training_flops = 1000.0"))
    recipe = read_recipe(file, catalogue=load_catalogue())
    cost = TrainingCost(
        parameters=1, network=Flops(begin=1, refine=0), network_flops=3.0, metric_flops=1.0,
    )  # fmt: skip
    assert cost.flops == 4.0
    with pytest.raises(RecipeError, match=r"too small for one step, which takes 1\.00 kFLOP"):
        steps_of(recipe, batches_per_epoch=6, cost=evolve(cost, step_flops=4.004))
    assert steps_of(recipe, batches_per_epoch=6, cost=cost) == 1
    assert steps_of(recipe, batches_per_epoch=6, cost=evolve(cost, step_flops=1.6)) == 2
    assert steps_of(recipe, batches_per_epoch=6, cost=evolve(cost, step_flops=1.59)) == 3
