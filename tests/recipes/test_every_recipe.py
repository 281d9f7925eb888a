"""Every recipe that comes with dddm: what it says, what it takes, and that it trains."""

import atexit
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import GroupNorm
from trunks import save_trunk

from dddm.recipe.model import ComponentConfig, Recipe, plain
from dddm.recipe.read import read_recipe
from dddm.recipe.source import shipped_names
from dddm.recipe.sweep import Sweep, read_recipe_or_sweep
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue
from dddm.support.files import sha256_of
from dddm.training.context import RunContext
from dddm.training.event_log import read_events
from dddm.training.run_folder import prepare_folder
from dddm.training.training_cost import meta_backbone
from dddm.workflow.dry_run import CostEstimate, estimate_cost
from dddm.workflow.run import run
from dddm_features.resnet20_network import ResNet20

PAPERS = {
    # name: parameters in millions and how near, GFLOP a forward pass and how near, steps
    "cifar10": (52.6, 0.05, 17.0, 0.05, 48_000),
    "imagenet64": (273.0, 0.03, None, None, 520 * 1251),
    # Of other papers, of which some say how many parameters their networks have.
    "table1-ddpm": (35.7, 0.005, None, None, 800_000),
    "table1-edm": (55.7, 0.02, None, None, 390_625),
    "table1-ict": (56.4, 0.01, None, None, 400_000),
    "table2-iddpm": (270.0, 0.02, None, None, 250_000),
    "table2-adm": (296.0, 0.001, None, None, 540_000),
    "table2-edm": (296.0, 0.001, None, None, 610_352),
}


NOT_HERE = {"predictor-corrector", "rk45", "stochastic"}
"""Samplers of published results that dddm has not."""


@cache
def own_images(channels: int, size: int) -> tuple[str, ...]:
    """Overrides that put made images where a recipe has those of its user."""
    path = Path(tempfile.mkdtemp()) / "own.npz"
    atexit.register(shutil.rmtree, path.parent)
    images = np.zeros((1_200, channels, size, size), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(1_200) % 10)
    return (f'data={{use="npz",path="{path}"}}',)


def every() -> Iterator[Recipe]:
    """All recipes, and the entries of those that are sweeps."""
    catalogue = load_catalogue()
    for name in shipped_names():
        read = read_recipe_or_sweep(name, catalogue=catalogue)
        base = read.base if isinstance(read, Sweep) else read
        if base.data.component.name == "folder":
            options = base.data.options
            own = own_images(1 if options.channels == "grey" else 3, options.size or 28)
            read = read_recipe_or_sweep(name, catalogue=catalogue, overrides=own)
        if isinstance(read, Sweep):
            yield from (entry.recipe for entry in read.entries)
        else:
            yield read


RECIPES = {recipe.name: recipe for recipe in every()}


@cache
def cost_of(name: str) -> CostEstimate:
    return estimate_cost(RECIPES[name])


@pytest.mark.parametrize("name", shipped_names())
def test_its_head_says_what_it_is(name: str) -> None:
    """A reader learns from the first lines what it reproduces, on what, and what is expected."""
    text = files("dddm_recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    head = " ".join(line.removeprefix("#").strip() for line in lines)
    assert text.startswith("# ")
    row = any(word in head for word in ("able 1", "able 2", "able 3", "igure 2", "igure 5"))
    assert row or "reproduces no row of the paper" in head or "in no table of the paper" in head
    assert "Expected:" in head or "reproduces no row" in head
    assert any(word in head for word in ("Hardware", "CPU", "Needs what"))


@pytest.mark.parametrize("name", RECIPES)
def test_it_is_built_without_memory(name: str) -> None:
    """On the meta device: parameters, operations and bytes at its real size."""
    estimate = cost_of(name)
    assert estimate.steps > 0
    in_16_bits = name.startswith(("imagenet64", "table2", "figure5_imagenet64"))
    each = 2 if in_16_bits else 4  # the size that the paper names
    recipe = RECIPES[name]
    if recipe.targets is not None and recipe.needs.memory_rows is None:
        assert estimate.store is not None
        assert estimate.store.memory == each * estimate.image_bytes
    if name in PAPERS:
        parameters, near, gflops, flops_near, steps = PAPERS[name]
        assert estimate.cost.parameters / 1e6 == pytest.approx(parameters, rel=near)
        assert estimate.steps == steps
        if gflops is not None:
            assert estimate.cost.network.forward / 1e9 == pytest.approx(gflops, rel=flops_near)


@pytest.mark.parametrize("name", [*PAPERS, "cifar10_deep", "imagenet64_deep"])
def test_group_norms_of_papers_have_32_groups(name: str) -> None:
    """ADM's number, which narrower networks cannot have."""
    recipe = RECIPES[name]
    network = meta_backbone(recipe, facts=cost_of(name).facts)
    groups = [one.num_groups for one in network.modules() if isinstance(one, GroupNorm)]
    assert len(groups) > 20
    assert set(groups) == {32}


def test_deep_has_twice_the_blocks() -> None:
    """§5.1: the deep variants double the blocks at each resolution and nothing else."""
    for name in ("cifar10", "imagenet64"):
        plain, deep = RECIPES[name], RECIPES[f"{name}_deep"]
        assert deep.backbone.options.blocks == 2 * plain.backbone.options.blocks
        decided = [key for key in plain.origins if not key.startswith("reported.")]
        changed = {key for key in decided if _at(plain.tables, key) != _at(deep.tables, key)}
        assert changed == {"name", "backbone.blocks"}


@pytest.mark.parametrize("name", RECIPES)
def test_figures_of_the_paper_are_those_of_its_own_rows(name: str) -> None:
    """A recipe has the paper's figures where its head names a row, at steps that it draws."""
    recipe = RECIPES[name]
    rows = ("cifar10", "cifar10_deep", "imagenet64", "imagenet64_deep")
    is_row = name in rows or name.startswith(("cifar10_T", "table1-", "table2-", "table3-"))
    assert bool(recipe.reported) == is_row
    drawn = {(job.sampler.component.name, steps) for job in recipe.sample for steps in job.steps}
    for printed in recipe.reported:
        if printed.sampler in NOT_HERE:  # another stands for it, whose scores are not its own
            assert set(printed.steps) <= {steps for _, steps in drawn}
        else:
            assert {(printed.sampler, steps) for steps in printed.steps} <= drawn
        assert recipe.evaluate is not None
        assert [printed.features] == [use.component.name for use in recipe.evaluate.features]
        assert {printed.images} == {job.images for job in recipe.sample}


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        ("table1-dddm", "cifar10"),
        ("table1-dddm-T8000", "cifar10_T8000"),
        ("table1-dddm-deep", "cifar10_deep"),
        ("table2-dddm", "imagenet64"),
        ("table2-dddm-deep", "imagenet64_deep"),
    ],
)
def test_rows_of_dddm_are_the_recipes_of_their_own(entry: str, row: str) -> None:
    """In every setting and every figure."""
    found, expected = (
        {key: value for key, value in RECIPES[name].tables.items() if key != "name"}
        for name in (entry, row)
    )
    assert found == expected


@pytest.mark.parametrize(("name", "dataset"), [("table1", "cifar10"), ("table2", "imagenet64")])
def test_rows_that_are_not_trained_are_quoted(name: str, dataset: str) -> None:
    """Without a sampler; every row is quoted or trained, and none is both."""
    sweep = read_recipe_or_sweep(name, catalogue=load_catalogue())
    assert isinstance(sweep, Sweep)
    assert sweep.base.data.component.name == dataset
    assert sweep.warnings == ()
    assert {one.sampler for one in sweep.base.reported} == {None}
    quoted = {one.source for one in sweep.base.reported}
    trained = {one.source for entry in sweep.entries for one in entry.recipe.reported}
    assert all(source.startswith(f"table {name[-1]}, ") for source in quoted)
    assert not quoted & trained


def _at(tables: object, key: str) -> object:
    for part in key.split("."):
        tables = tables[int(part)] if isinstance(tables, list) else tables[part]  # type: ignore[index]  # plain tables
    return tables


SMALLER = (
    "backbone.blocks=1",
    "train.epochs=1",
    "train.batch_images=4",
    "train.sample_every_epochs=1",
    'evaluate={features = "pixels-8x8", scores = ["nearest"]}',
    'data={use = "npz", path = "FOLDER/IMAGES.npz"}',
)
"""What makes any recipe small, but for its metric: eight random images of the recipe's size."""


@pytest.fixture(scope="module")
def files_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random images of every size and a trunk with random weights."""
    folder = tmp_path_factory.mktemp("files")
    draw = np.random.default_rng(0)
    for channels, size in ((1, 8), (1, 28), (3, 32), (3, 64)):
        shape = (10, channels, size, size)
        np.savez(
            folder / f"{size}.npz",
            images=draw.integers(0, 256, shape, dtype=np.uint8),
            labels=np.arange(10),
        )
    return folder


def distinct() -> Iterator[str]:
    """Recipes that differ in more than numbers, which the shrunken copies mostly share anyway.

    Of rows of a table, those whose objective, path, metric or optimizer is another.
    """
    seen = set()
    for name, recipe in RECIPES.items():
        same = {"name", "reported"}
        if name.startswith(("table1-", "table2-")):
            same |= {"data", "backbone", "train", "sample", "evaluate", "targets"}
        tables = {key: recipe.tables[key] for key in recipe.tables.keys() - same}
        kind = re.sub(r"(?<=[ \[])-?[\d.]+(e-?\d+)?", "0", json.dumps(tables, sort_keys=True))
        kind = re.sub(r"\[0(, 0)*\]", "[0]", kind)
        if kind not in seen:
            yield name
        seen.add(kind)


@pytest.mark.parametrize("name", list(distinct()))
def test_a_shrunken_copy_trains_and_samples(name: str, files_of: Path, tmp_path: Path) -> None:
    """Few channels, eight images and a random trunk: all else is the recipe's own."""
    recipe = RECIPES[name]
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    size = cost_of(name).facts.shape.height
    smaller = [
        words.replace("FOLDER", str(files_of)).replace("IMAGES", str(size)) for words in SMALLER
    ]
    smaller.append(f"sample=[{', '.join(_few_samples(recipe))}]")
    decoder = recipe.backbone.component.name == "decoder"
    smaller.append("backbone.widths=[8, 8]" if decoder else "backbone.channels=8")
    if "resnet20" in str(recipe.tables.get("objective")):  # whose weights are not here
        smaller.append('objective.features={use="pixels"}')
    if recipe.needs.sets is not None:  # each image of `files_of` has a class of its own
        smaller += ["backbone.classes=false", "objective.rows=4", "objective.real=2"]
    small = read_recipe(
        path, overrides=[*smaller, *_trunk(recipe, files_of)], catalogue=load_catalogue()
    )
    folder = prepare_folder(small, tmp_path / "run")
    run(RunContext(recipe=small, folder=folder, device=torch.device("cpu")))
    losses = [event["loss"] for event in read_events(folder.events, event="step-done")]
    assert len(losses) == 2
    assert all(0 < loss < 1e4 for loss in losses)
    scores = json.loads(folder.scores.read_text())
    assert len(scores) == len(recipe.sample)
    assert all(score["value"] > 0 for score in scores)


def _few_samples(recipe: Recipe) -> Iterator[str]:
    """Its samplers with their options: two images each, in two steps if it makes several."""
    for job in recipe.sample:
        options = {**plain(job.sampler.options), "steps": [min(max(job.steps), 2)], "images": 2}
        words = (f"{key} = {json.dumps(value)}" for key, value in options.items())
        yield f'{{use = "{job.sampler.component.id}", {", ".join(words)}}}'


def _trunk(recipe: Recipe, folder: Path) -> list[str]:
    """Overrides that put a random trunk, and no resizing, where the recipe has a perceptual one."""
    if recipe.metric is None:
        return []
    uses = {
        "metric": recipe.metric,
        **{
            f"metric.{name}": part
            for name, part in attrs.asdict(recipe.metric.options, recurse=False).items()
            if isinstance(part, ComponentConfig)
        },
    }
    words = []
    for key, use in uses.items():
        if use.component.name == "resnet20":
            of_file = _random_resnet20(folder)
            words += [f"{key}.{name}={json.dumps(value)}" for name, value in of_file.items()]
        if use.component.name in {"lpips", "pseudo-lpips"}:
            options = {**save_trunk(folder, "squeeze"), "size": 0}
            words += [f"{key}.{name}={json.dumps(value)}" for name, value in options.items()]
    return words


def _random_resnet20(folder: Path) -> dict[str, str]:
    """Options of `resnet20` for a file of random weights."""
    path = folder / "resnet20.safetensors"
    weights = ResNet20().state_dict()
    save_file({k: v for k, v in weights.items() if "num_batches" not in k}, path)
    return {"weights": str(path), "weights_sha256": sha256_of(path)}
