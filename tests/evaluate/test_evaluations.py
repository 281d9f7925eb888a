"""Samplers of second order or with noise, from a recipe to every place that counts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import write_tiny
from toy_samplers import with_toy_samplers

from dddm.evaluate.record import read_scores
from dddm.recipe.read import read_recipe
from dddm.training.context import RunContext
from dddm.training.event_log import read_events
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.workflow.dry_run import estimate_cost
from dddm.workflow.run import run


def run_with(folder: Path, sampler: str, *changes: tuple[str, str]) -> RunFolder:
    """The tiny recipe for one epoch, with a toy sampler."""
    shorter = (("epochs = 3", "epochs = 1"), ('use = "fixed-time"', f'use = "toy:{sampler}"'))
    recipe = read_recipe(write_tiny(folder, *shorter, *changes), catalogue=with_toy_samplers())
    assert estimate_cost(recipe).samples
    place = prepare_folder(recipe, folder / "run")
    run(RunContext(recipe=recipe, folder=place, device=torch.device("cpu")))
    return place


def test_a_second_order_sampler_is_counted_as_it_is(tmp_path: Path) -> None:
    """Heun's at 1, 2 and 5 steps: 1, 3 and 9 evaluations, wherever they are named."""
    folder = run_with(tmp_path, "heun", ("[1, 2]", "[1, 2, 5]"))
    expected = {1: 1, 2: 3, 5: 9}
    recipe = read_recipe(folder.recipe, catalogue=with_toy_samplers())
    (cost,) = estimate_cost(recipe).samples
    assert (cost.evaluations_of_image, cost.evaluations) == (1 + 3 + 9, 70 * 13)
    for event in ("samples-drawn", "score-measured"):
        found = read_events(folder.events, event=event)
        assert {one["steps"]: one["evaluations"] for one in found} == expected
    manifests = {
        steps: json.loads((folder.samples / f"heun-{steps}/manifest.json").read_text())
        for steps in expected
    }
    assert {steps: facts["evaluations"] for steps, facts in manifests.items()} == expected
    assert {facts["evaluations_of_an_image"] for facts in manifests.values()} == {13}
    assert {one.steps: one.evaluations for one in read_scores(folder.scores)} == expected
    page = folder.report.read_text()
    assert "= 9 network evaluations per image" in page
    assert ">5 (9 evaluations)</td>" in page


@pytest.mark.parametrize("images", [3, 64])
def test_a_stochastic_sampler_gives_the_same_image(tmp_path: Path, images: int) -> None:
    """Image k of a short order is that of a long one, bit for bit."""
    unscored = ('[evaluate]\nfeatures = "pixels"\n', "")
    many = run_with(tmp_path, "restarting", unscored)
    few = tmp_path / "few"
    few.mkdir()
    some = run_with(few, "restarting", unscored, ("images = 70", f"images = {images}"))
    with (
        np.load(many.samples / "restarting-2/samples.npz") as whole,
        np.load(some.samples / "restarting-2/samples.npz") as part,
    ):
        assert np.array_equal(whole["arr_0"][:images], part["arr_0"])
