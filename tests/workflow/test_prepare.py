"""What an objective does once before training: seen by the user, resumed, and not done again."""

import shutil
from pathlib import Path
from typing import final

import pytest
import torch
from objective_runs import losses_of

from dddm.errors import StoppedEarly
from dddm.interfaces.observer import DataProgress, Event, Observer
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.context import RunContext
from dddm.training.event_log import read_events
from dddm.training.events import Subscriber
from dddm.training.run_folder import RunFolder, prepare_folder
from dddm.workflow.run import run
from dddm_features import learned

OVERRIDES = (
    'objective.features={use="learned", epochs=2}',
    "backbone.channels=8",
    "train.batch_images=500",
    "train.epochs=1",
    "sample.0.images=4",
    'evaluate={features = "pixels-8x8", scores = ["nearest"]}',
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run_in(folder: Path, *observers: Subscriber) -> RunFolder:
    recipe = read_recipe("digits_drifting", overrides=OVERRIDES, catalogue=load_catalogue())
    place = prepare_folder(recipe, folder)
    context = RunContext(recipe=recipe, folder=place, device=torch.device("cpu"))
    run(context, observers=observers)
    return place


@final
class _Sees(Observer):
    """Keeps what it hears of progress."""

    def __init__(self, seen: list[DataProgress]) -> None:
        self._seen = seen

    def on_event(self, event: Event) -> None:
        if isinstance(event, DataProgress):
            self._seen.append(event)


@final
class _StopsAtLearning(Observer):
    """Asks the run to stop when features were learned for one pass."""

    def on_event(self, event: Event) -> None:
        if not isinstance(event, DataProgress):
            return
        if event.what == "learning features" and event.done > 0:
            raise StoppedEarly("one pass is enough")


def test_it_is_stopped_resumed_and_read(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was stopped in it equals one that was not; another reads what it finds."""
    seen: list[DataProgress] = []
    alone = run_in(tmp_path / "alone", Subscriber(title="a test", make=lambda: _Sees(seen)))
    (said,) = (event["text"] for event in read_events(alone.events, event="notice"))
    assert "features were learned on 1,500 images" in said
    assert [one.done for one in seen if one.what == "learning features"] == [0, 1350, 2700]
    shutil.rmtree(cache)
    stopping = Subscriber(title="a test", make=_StopsAtLearning)
    with pytest.raises(StoppedEarly):
        run_in(tmp_path / "stopped", stopping)
    stopped = run_in(tmp_path / "stopped")
    assert losses_of(stopped) == losses_of(alone)
    monkeypatch.setattr(learned, "_train", None)
    assert losses_of(run_in(tmp_path / "third")) == losses_of(alone)


def test_a_trained_run_needs_it_no_more(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples and scores are made without it, also where the cache is gone."""
    folder = run_in(tmp_path / "run")
    shutil.rmtree(cache)
    shutil.rmtree(folder.path / "samples")
    monkeypatch.setattr(learned, "_train", None)
    run_in(tmp_path / "run")
    assert (folder.path / "samples").is_dir()
