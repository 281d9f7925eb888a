"""What an objective needs and a recipe does not have is found before anything is built."""

from pathlib import Path
from typing import NamedTuple

import pytest
from objective_runs import install_toys, losses_of, recipe_text, run_toy

from dddm.errors import RecipeError
from dddm.recipe.read import read_recipe
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """What is installed, and the toys."""
    folder = tmp_path_factory.mktemp("site")
    install_toys(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        return load_catalogue()


def refused(folder: Path, text: str, catalogue: Catalogue) -> str:
    file = folder / "toy.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        read_recipe(file, catalogue=catalogue)
    return str(caught.value)


def place_of(text: str, words: str) -> str:
    """`line:column: ` of the words."""
    start = text.index(words)
    return f"{text[:start].count(chr(10)) + 1}:{start - text.rfind(chr(10), 0, start)}: "


SAMPLE = '\n[[sample]]\nuse = "fixed-time"\nsteps = [1, 5]\n'
STORE = '\n[targets]\nuse = "ram"\n'


class Unmet(NamedTuple):
    """A toy's recipe with one mistake.

    Attributes:
        change: what of the recipe becomes what.
        at: the words that the error points at.
    """

    toy: str
    change: tuple[str, str]
    at: str
    why: str
    remedy: str


@pytest.mark.parametrize(
    "unmet",
    [
        Unmet(
            "flowing",
            ("second_time = true", "second_time = false"),
            "[backbone]",
            "the objective flowing needs a second time, which the backbone adm does not take",
            "second_time = true",
        ),
        Unmet(
            "flowing",
            ('"vp-continuous"', '"vp"'),
            '"vp"',
            "the objective flowing needs continuous times",
            'use a continuous schedule, such as "vp-continuous"',
        ),
        Unmet(
            "flowing",
            ("[train]\n", "[train]\ncompile = true\n"),
            "true\nsteps",
            "the forward-mode derivatives of the objective flowing cannot be compiled",
            "write compile = false",
        ),
        Unmet(
            "flowing",
            ("[train]\n", '[train]\nprecision = "bfloat16"\n'),
            '"bfloat16"',
            "the forward-mode derivatives of the objective flowing need float32",
            'write precision = "float32"',
        ),
        Unmet(
            "plain",
            ('estimate = "none"', 'estimate = "attention"'),
            "[backbone]",
            "the backbone adm takes an estimate x̂, which the objective plain does not pass",
            'estimate = "none"',
        ),
        Unmet(
            "chain",
            ('estimate = "attention"', 'estimate = "none"'),
            "[backbone]",
            "the objective chain passes an estimate x̂ to the network, which the backbone adm",
            "use another objective",
        ),
        Unmet(
            "sets",
            ("batch_images = 64", "batch_images = 66"),
            "66",
            "66 images cannot be divided into sets of 4",
            "use a multiple of 4",
        ),
        Unmet(
            "sets",
            ("batch_images = 64", "batch_images = 64\naccumulation_steps = 32"),
            "32",
            "16 sets of 4 images cannot be divided into 32 micro-batches",
            "use a divisor of 16",
        ),
        Unmet(
            "sets",
            ("[train]\n", "[train]\nlabel_dropout = 0.1\n"),
            "0.1",
            "label_dropout: the objective compares sets of images, each of one class",
            "remove label_dropout",
        ),
        Unmet(
            "features",
            ("pixels-8x8", "inception"),
            '{ use = "inception" }',
            "the objective features needs features with gradient, which inception lack",
            'use features that have it, such as "pixels"',
        ),
        Unmet(
            "plain",
            ("[train]\n", f"{STORE}\n[train]\n"),
            "[targets]",
            "the objective keeps no estimates, so [targets] has no meaning",
            "leave [targets] out",
        ),
        Unmet(
            "plain",
            ("[train]\n", f"{SAMPLE}\n[train]\n"),
            "[1, 5]",
            "the sampler fixed-time refines x̂, but the objective plain",
            "use 1 step, or another sampler",
        ),
    ],
    ids=lambda unmet: unmet.why,
)
def test_a_need_that_is_not_met_is_named_with_its_place(
    tmp_path: Path, catalogue: Catalogue, unmet: Unmet
) -> None:
    """Line and column, what is missing, and what to write; without torch being asked."""
    right = recipe_text(unmet.toy)
    assert right.count(unmet.change[0]) == 1
    text = right.replace(*unmet.change)
    message = refused(tmp_path, text, catalogue)
    assert f"{tmp_path / 'toy.toml'}:{place_of(text, unmet.at)}" in message
    assert unmet.why in message
    assert unmet.remedy in message


def test_features_with_gradient_reach_the_objective(tmp_path: Path, catalogue: Catalogue) -> None:
    """A recipe whose needs are met is read, and trains."""
    folder = run_toy(tmp_path, "features", catalogue=catalogue, steps=2)
    first, second = losses_of(folder)
    assert first != second


@pytest.mark.parametrize(
    ("recipe", "overrides", "why", "remedy"),
    [
        (
            "digits_consistency",
            ("schedule.use=vp", "objective.last_steps=1280"),
            "the objective consistency needs 1281 times, and the schedule vp has 1000",
            "use a schedule with more times",
        ),
        (
            "digits_consistency",
            ("parametrization.use=edm",),
            "consistency training has a solution of interest only where",
            'write [parametrization] use = "consistency"',
        ),
        (
            "digits_mean_flow",
            ("schedule.use=karras",),
            "average velocities are defined on the linear path",
            'write [schedule] use = "linear"',
        ),
        (
            "digits_drifting",
            ("objective.rows=1",),
            "1 is not at least 2",
            "write a whole number of at least 2",
        ),
        (
            "digits_drifting",
            ("objective.real=300",),
            "sets of 10 images are compared with 300 others",
            "use smaller sets",
        ),
        (
            "digits_drifting",
            ("objective.patch_sizes=[9]",),
            "9 pixels do not fit into images of 8×8",
            "use 8 or less",
        ),
        (
            "digits_drifting",
            ("sample.0.use=ddim", "sample.0.steps=[4]"),
            "the objective drifting trains at T alone",
            "use 1 step",
        ),
        (
            "digits_denoising",
            ("sample.0.guidance=2.0",),
            "it needs label_dropout",
            "label_dropout = 0.1",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_built_in_recipe_that_cannot_work_is_refused(
    recipe: str, overrides: tuple[str, ...], why: str, remedy: str
) -> None:
    """With one error, and what to write instead."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(recipe, overrides=overrides, catalogue=load_catalogue())
    assert why in str(caught.value)
    assert remedy in str(caught.value)
    assert str(caught.value).count("try: ") == 1
