"""`--preset gpu`, and what `train.tf32` does."""

from typing import Any

import pytest
import torch

from dddm.recipe.gpu_preset import with_gpu_preset
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.device import float32_products

CATALOGUE = load_catalogue()


def with_preset(name: str, *overrides: str) -> Recipe:
    every = with_gpu_preset(name, overrides=overrides, catalogue=CATALOGUE)
    return read_recipe(name, overrides=every, catalogue=CATALOGUE)


def test_it_changes_how_and_not_what_is_computed() -> None:
    """Only precision, compilation and places differ; the store keeps its precision."""
    plain = read_recipe("digits", overrides=['targets.precision="float16"'], catalogue=CATALOGUE)
    found = with_preset("digits", 'targets.precision="float16"')
    assert found.tables["targets"] == {"use": "dddm:device", "precision": "float16"}
    assert found.tables["backbone"] == {**plain.tables["backbone"], "channels_last": True}
    assert found.tables["train"] == {
        **plain.tables["train"],
        "precision": "bfloat16",
        "tf32": True,
        "compile": True,
        "data_on_device": True,
        "accumulation_steps": "auto",
    }
    for name in ("data", "objective", "schedule", "metric", "optimizer", "learning_rate", "sample"):
        assert found.tables[name] == plain.tables[name]


def test_set_wins_over_it() -> None:
    more = ("train.compile=false", 'train.precision="float32"', "train.accumulation_steps=4")
    found = with_preset("digits", *more)
    assert not found.train.compile
    assert found.train.precision == "float32"
    assert found.train.accumulation_steps == 4


@pytest.mark.parametrize("name", ["digits_mean_flow", "digits_drifting", "imagenet64"])
def test_any_recipe_can_take_it(name: str) -> None:
    """Forward-mode derivatives cannot be compiled, and an objective may have no store."""
    found = with_preset(name)
    assert found.train.compile == (name != "digits_mean_flow")
    assert found.train.precision == ("bfloat16" if found.train.compile else "float32")


def test_tf32_is_allowed_within_a_step_alone() -> None:
    flags: list[Any] = [torch.backends.cudnn, torch.backends.cuda.matmul]
    with float32_products(tf32=False):
        with float32_products(tf32=True):
            assert all(flag.allow_tf32 for flag in flags)
        assert not any(flag.allow_tf32 for flag in flags)
