"""The dry run counts what a real step computes."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from objective_runs import install_toys, recipe_text
from torch.utils.flop_counter import FlopCounterMode

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.draws import Draws, draw
from dddm.core.ema import MovingAverage
from dddm.core.step import StepParts, make_step
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.objective import Batch, TrainingProgress
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.train.build import build_metric, build_schedule
from dddm.train.training_cost import meta_backbone, training_cost

SHAPE = ImageShape(channels=1, height=8, width=8)
IMAGES = 4


@pytest.mark.parametrize("toy", ["plain", "taught"])
def test_a_step_takes_the_operations_that_are_foreseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: str
) -> None:
    """A step with its gradient takes the same, but for the gradient of the network's input.

    It is made on the meta device: on a CPU the network has short cuts, and torch does not count the
    fused attention.

    Of a forward-mode derivative torch computes more than it takes: products with the derivative of
    the weights too, which is zero.
    """
    install_toys(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "toy.toml"
    file.write_text(recipe_text(toy))
    recipe = read_recipe(file, catalogue=load_catalogue(), overrides=["backbone.channels=32"])
    facts = DatasetInfo(shape=SHAPE, classes=tuple("0123456789"), train_images=1_500)
    backbone = meta_backbone(recipe, facts=facts)
    schedule, objective = build_schedule(recipe), recipe.objective.instantiate()
    progress = TrainingProgress(step=0, total_steps=1, epoch=0)
    draws = draw(
        objective,
        count=IMAGES,
        shape=SHAPE,
        schedule=schedule,
        progress=progress,
        generator=torch.Generator().manual_seed(0),
        flips=False,
    )
    own = {name: tensor.to("meta") for name, tensor in draws.values.items()}
    index = torch.arange(IMAGES, device="meta")
    x_0 = torch.empty(IMAGES, *SHAPE.as_tuple, device="meta")
    average = MovingAverage(backbone, decay=0.9, warmup=False)
    parts = StepParts(
        objective=objective,
        denoiser=ScheduledDenoiser(schedule=schedule, backbone=backbone),
        average=ScheduledDenoiser(schedule=schedule, backbone=average.backbone),
        metric=build_metric(recipe, device=torch.device("cpu")),
    )
    batch = Batch(index=index, x_0=x_0, label=index, rows=index)
    # There is no autocast for the meta device.
    monkeypatch.setattr(ScheduledDenoiser, "_autocast", lambda *_: nullcontext())
    taken = Draws(values=own, flipped=None)
    with FlopCounterMode(display=False) as counter:
        outcome = make_step(parts, batch=batch, draws=taken, memory={}, progress=progress)
        outcome.loss.backward()  # type: ignore[no-untyped-call]
    foreseen = IMAGES * training_cost(recipe, facts=facts).flops
    assert counter.get_total_flops() == pytest.approx(foreseen, rel=0.02)
