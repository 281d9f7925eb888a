"""Samples of a network that takes a latent as x̂."""

from pathlib import Path

import pytest
import torch
from objective_runs import recipe_text

import dddm
from dddm.errors import UsageError
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.context import RunContext
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.workflow.run import run


def test_a_trained_network_says_that_it_takes_a_latent(tmp_path: Path) -> None:
    """Samplers of several steps pass fresh ones; one that refines x̂ is refused."""
    text = recipe_text("plain", steps=1).replace("toys:plain", "energy-score")
    text = text.replace('[metric]\nuse = "l2"\n', "")
    file, folder = tmp_path / "latent.toml", tmp_path / "run"
    file.write_text(text.replace('estimate = "none"', 'estimate = "concatenation"'))
    recipe = read_recipe(file, catalogue=load_catalogue())
    prepare_folder(recipe, folder)
    context = RunContext(recipe=recipe, folder=RunFolder(folder), device=torch.device("cpu"))
    run(context)
    loaded = dddm.load(folder, device="cpu")
    assert loaded.denoiser.takes_latent
    several = [
        loaded.sample(images=2, steps=3, sampler=name).tensor for name in ("ddim", "consistency")
    ]
    assert not torch.equal(*several)
    with pytest.raises(UsageError, match="a fresh latent there"):
        loaded.sample(images=2, steps=3)
