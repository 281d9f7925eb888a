"""Which sampler can use which network; `dddm sample` asks the same (tests/generate)."""

from pathlib import Path

import pytest

from dddm.errors import RecipeError
from dddm.interfaces.info import ObjectiveInfo, SamplerInfo
from dddm.recipe.read import read_recipe
from dddm.recipe.sampler_fit import misfits
from dddm.registry.loader import load_catalogue

REFINES = SamplerInfo(refines=True)
FALLS = SamplerInfo()
JUMPS = SamplerInfo(second_time=True)
DIRECTLY_DENOISING = ObjectiveInfo(estimate="estimate")
DENOISING = ObjectiveInfo()
ENERGY_SCORE = ObjectiveInfo(estimate="latent")
DRIFTING = ObjectiveInfo(times="last")
CHAIN = ObjectiveInfo(times="last", estimate="estimate")
MEAN_FLOW = ObjectiveInfo(second_time=True)


@pytest.mark.parametrize(
    ("sampler", "objective", "of_one", "of_many"),
    [
        (REFINES, DIRECTLY_DENOISING, [], []),
        (REFINES, DENOISING, [], ["steps"]),
        (REFINES, ENERGY_SCORE, [], ["steps"]),
        (REFINES, DRIFTING, [], ["steps"]),
        (REFINES, CHAIN, [], []),
        (REFINES, MEAN_FLOW, ["use"], ["use", "steps"]),
        (FALLS, DIRECTLY_DENOISING, [], []),
        (FALLS, DENOISING, [], []),
        (FALLS, ENERGY_SCORE, [], []),
        (FALLS, DRIFTING, [], ["steps"]),
        (FALLS, CHAIN, [], ["steps"]),
        (FALLS, MEAN_FLOW, [], []),  # then r = t: the flow itself
        (JUMPS, DENOISING, ["use"], ["use"]),
        (JUMPS, MEAN_FLOW, [], []),
    ],
)
def test_what_fits(
    sampler: SamplerInfo, objective: ObjectiveInfo, of_one: list[str], of_many: list[str]
) -> None:
    """In one step and in several."""
    for steps, wrong in ((1, of_one), (2, of_many)):
        found = list(misfits(("s", sampler), ("o", objective), steps=steps))
        assert [option for option, _, _ in found] == wrong
        for _, what, remedy in found:
            assert "sampler s" in what
            assert "objective o" in what
            assert remedy.startswith("use ")


@pytest.mark.parametrize(
    ("objective", "remedy"),
    [
        (DENOISING, 'use 1 step, or another sampler, such as "ddim"'),
        (DRIFTING, "use 1 step"),
    ],
)
def test_the_remedy_fits_too(objective: ObjectiveInfo, remedy: str) -> None:
    """What is advised is not refused in turn."""
    ((_, _, found),) = misfits(("s", REFINES), ("o", objective), steps=2)
    assert found == remedy
    ((_, _, found),) = misfits(("s", FALLS), ("o", CHAIN), steps=2)
    assert found == 'use 1 step, or the sampler "fixed-time"'


@pytest.mark.parametrize(
    ("preset", "overrides", "place", "what"),
    [
        (
            "digits_drifting",
            ("sample.0.use=ddim", "sample.0.steps=[1, 4]"),
            "--set sample.0.steps",
            "the objective drifting trains at T alone",
        ),
        (
            "digits_drifting",
            ("sample.0.steps=[1, 4]",),
            "--set sample.0.steps",
            "the objective drifting trains a network that takes none",
        ),
        (
            "digits_drifting",
            ("train.score_every_epochs=1", "train.score_steps=[2]"),
            "--set train.score_steps",
            "the sampler fixed-time refines x̂",
        ),
        (
            "digits",
            ("sample.1.use=jump", "sample.1.steps=[1]"),
            "--set sample.1.use",
            "the sampler jump passes a second time",
        ),
    ],
)
def test_a_recipe_is_refused_with_the_place(
    preset: str, overrides: tuple[str, ...], place: str, what: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(Path(preset), overrides=overrides, catalogue=load_catalogue())
    assert place in str(caught.value)
    assert what in str(caught.value)
