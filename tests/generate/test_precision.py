"""Samples in another precision, compiled, and in other blocks."""

import shutil
from functools import partial

import pytest
import torch
from attrs import evolve
from training_runs import run_tiny

from dddm.generate.generator import Generator, load_generator
from dddm.generate.sample import generate_images
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import SampleSpec
from dddm.recipe.read import read_component, read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.context import RunContext

CATALOGUE = load_catalogue()
SPEC = SampleSpec(
    sampler=read_component(Kind.SAMPLER, "fixed-time", catalogue=CATALOGUE),
    steps=(2,),
    images=12,
    seed=1,
    block_images=4,
)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    folder = run_tiny(tmp_path_factory.mktemp("run"), "train.epochs=1", "sample=[]")
    recipe = read_recipe(folder.recipe, catalogue=CATALOGUE)
    return load_generator(RunContext(recipe=recipe, folder=folder, device=torch.device("cpu")))


def images(spec: SampleSpec, generator: Generator) -> torch.Tensor:
    found = generate_images(spec, generator=generator, sampler=spec.sampler.instantiate())
    return found[2].int()


def test_bfloat16_rounds_and_no_more(generator: Generator) -> None:
    plain, lower = images(SPEC, generator), images(evolve(SPEC, precision="bfloat16"), generator)
    assert not torch.equal(plain, lower)
    assert (plain - lower).abs().max() <= 8


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_compiled_samples_are_the_same(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are compiled once for all blocks: what begins a block, and what refines it."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    assert torch.equal(images(evolve(SPEC, compile=True), generator), images(SPEC, generator))
    counters = torch._dynamo.utils.counters
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 2


def test_a_recipe_can_say_it() -> None:
    words = 'sample=[{use="fixed-time",steps=[1],precision="bfloat16",compile=true,block_images=9}]'
    (spec,) = read_recipe("digits", overrides=[words], catalogue=CATALOGUE).sample
    assert (spec.precision, spec.compile, spec.block_images) == ("bfloat16", True, 9)
