"""Scores in learned features: by a run, again, stopped and resumed; refused before training."""

import shutil
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image

from dddm.errors import DataError, RecipeError, StoppedEarly
from dddm.evaluate.compare import compare
from dddm.evaluate.evaluate import evaluate
from dddm.evaluate.extract import EvaluationContext
from dddm.evaluate.record import ScoreRecord, read_scores
from dddm.evaluate.score_images import open_real, score_images
from dddm.interfaces.observer import DataProgress, Event, Observer
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.context import RunContext
from dddm.training.event_log import read_events
from dddm.training.events import EventBus, Subscriber
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.training.stopping import StopRequest
from dddm.workflow.run import run
from dddm_features import learned

CATALOGUE = load_catalogue()
LEARNED = '{use="learned", epochs=2}'


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def recipe_with(
    *overrides: str, features: str = LEARNED, scores: str = '["fd", "nearest"]'
) -> Recipe:
    small = (
        "backbone.channels=8",
        "train.batch_images=60",
        "train.steps=2",
        "objective.rows=4",
        "objective.real=6",
        "sample.0.images=30",
        f"evaluate={{features={features}, scores={scores}, baselines=false}}",
    )
    return read_recipe(Path("digits_drifting"), overrides=[*small, *overrides], catalogue=CATALOGUE)


def run_in(folder: Path, recipe: Recipe, *observers: Subscriber) -> RunFolder:
    place = prepare_folder(recipe, folder)
    run(RunContext(recipe=recipe, folder=place, device=torch.device("cpu")), observers=observers)
    return place


def again(recipe: Recipe, folder: RunFolder) -> tuple[ScoreRecord, ...]:
    """As `dddm evaluate` scores the run."""
    return evaluate(RunContext(recipe=recipe, folder=folder, device=torch.device("cpu")))


def values(scores: tuple[ScoreRecord, ...]) -> list[tuple[str, float]]:
    return [(score.name, score.value) for score in scores]


@pytest.fixture
def folder_of_images(tmp_path: Path) -> Path:
    """Two classes of twenty grey pictures."""
    generator = np.random.default_rng(0)
    for name, level in (("dark", 60), ("bright", 190)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for k in range(20):
            picture = generator.integers(level - 50, level + 50, (8, 8), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "images" / name / f"{k}.png")
    return tmp_path / "images"


def test_a_run_and_a_second_evaluation_agree(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learned again from nothing, and read from the cache; what it was learned from is recorded."""
    recipe = recipe_with()
    folder = run_in(tmp_path / "run", recipe)
    scores = read_scores(folder.scores)
    notices = [event["text"] for event in read_events(folder.events, event="notice")]
    assert any("features were learned on 1,500 images" in text for text in notices)
    assert {score.name for score in scores} == {"fd-learned@30", "nearest-learned@30"}
    about = scores[0].provenance["features"]
    assert about["trained_on"].startswith("1,500 images ")
    assert about["dimensions"] == 128
    assert not scores[0].trained_the_loss
    shutil.rmtree(cache)
    assert values(again(recipe, folder)) == values(scores)
    monkeypatch.setattr(learned, "_train", None)
    assert values(again(recipe, folder)) == values(scores)


@final
class _StopsAtLearning(Observer):
    """Asks to stop after the first pass."""

    def on_event(self, event: Event) -> None:
        if isinstance(event, DataProgress) and event.what == "learning features" and event.done:
            raise StoppedEarly("one pass is enough")


def test_learning_is_stopped_and_resumed(tmp_path: Path, cache: Path) -> None:
    """As if it had not been; the first pass is not repeated."""
    recipe = recipe_with()
    expected = read_scores(run_in(tmp_path / "alone", recipe).scores)
    shutil.rmtree(cache)
    stopping = Subscriber(title="a test", make=_StopsAtLearning)
    with pytest.raises(StoppedEarly):
        run_in(tmp_path / "stopped", recipe, stopping)
    assert not RunFolder(tmp_path / "stopped").scores.exists()
    seen: list[int] = []

    @final
    class Sees(Observer):
        def on_event(self, event: Event) -> None:
            if isinstance(event, DataProgress) and event.what == "learning features":
                seen.append(event.done)

    stopped = run_in(tmp_path / "stopped", recipe, Subscriber(title="a test", make=Sees))
    assert seen == [1350, 2700]
    assert values(read_scores(stopped.scores)) == values(expected)


def test_scores_in_the_features_of_the_loss_are_marked(tmp_path: Path) -> None:
    """And learned once, where training mirrors nothing."""
    recipe = recipe_with(f"objective.features={LEARNED}")
    scores = read_scores(run_in(tmp_path / "run", recipe).scores)
    assert all(score.trained_the_loss for score in scores)
    assert "the loss was computed in the features learned" in scores[0].warnings[0]
    assert len(list((tmp_path / "cache" / "learned-features").glob("*.safetensors"))) == 1


def test_scores_of_other_learning_are_not_compared(tmp_path: Path, folder_of_images: Path) -> None:
    """Of other images: `dddm evaluate --compare` says what differs."""
    recipe = recipe_with()
    folder = run_in(tmp_path / "run", recipe)
    own = f'images={{use="folder", path="{folder_of_images}", channels="grey"}}'
    other = recipe_with(features=f'{{use="learned", epochs=2, {own}}}')
    assert other.evaluate is not None
    first = read_scores(folder.scores)
    second = again(evolve(recipe, evaluate=other.evaluate), folder)
    assert second[0].provenance["features"]["trained_on"].startswith("40 images ")
    for pair in compare(first, second).pairs:
        assert any(one.startswith("the features' options") for one in pair.differences)
        assert any(one.startswith("the features' weights") for one in pair.differences)


def test_images_without_a_run(tmp_path: Path, folder_of_images: Path) -> None:
    """Scored in features that are learned on the images that they are compared with."""
    recipe = recipe_with(scores='["fd", "is"]')
    assert recipe.evaluate is not None
    context = EvaluationContext(events=EventBus([]), device=torch.device("cpu"), stop=StopRequest())
    scores = score_images(
        folder_of_images,
        evaluation=recipe.evaluate,
        real=open_real(recipe.data, context=context),
        catalogue=CATALOGUE,
        context=context,
    )
    assert [score.name for score in scores] == ["fd-learned@40", "is-learned@40"]
    assert not any(score.trained_the_loss for score in scores)


def test_logits_need_classes(tmp_path: Path, folder_of_images: Path) -> None:
    """Where it is known, `dddm check` says so; else the run, before it trains."""
    recipe_with(scores='["is"]')
    path = f'path="{folder_of_images / "dark"}", channels="grey", classes="none"'
    own = f'{{use="learned", epochs=1, images={{use="folder", {path}}}}}'
    late = recipe_with(features=own, scores='["is"]')
    with pytest.raises(RecipeError, match='the score "is" needs features with logits of classes'):
        run_in(tmp_path / "run", late)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("picked", "what"),
    [
        ("dark/[0-8].png", "10 images or more, and there are 9"),
        (None, "learned on images of 3×8×8, and those of the run are 1×8×8"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_before_training(
    tmp_path: Path, folder_of_images: Path, picked: str | None, what: str
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for file in folder_of_images.glob(picked or "dark/*.png"):
        shutil.copy(file, few)
    channels = "rgb" if picked is None else "grey"
    own = f'images={{use="folder", path="{few}", channels="{channels}", classes="none"}}'
    for recipe in (
        recipe_with(features=f'{{use="learned", {own}}}'),
        recipe_with(f'objective.features={{use="learned", {own}}}', features='"pixels"'),
    ):
        with pytest.raises(DataError, match=what):
            run_in(tmp_path / "run", recipe)
        assert not (tmp_path / "run" / "checkpoints").exists()
        shutil.rmtree(tmp_path / "run")
