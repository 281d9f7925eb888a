"""`dddm.train` does what `dddm run` does, in this process; `dddm.Run` reads what is there."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from command_line import invoke, write_tiny
from whole_runs import FinishedRun

import dddm
from dddm.errors import DataError, RecipeError, StoppedEarly, UsageError
from dddm.interfaces.observer import (
    Event,
    RunStarted,
    RunStopped,
    SamplesDrawn,
    ScoreMeasured,
    StepDone,
)

FEW = ("images = 70", "images = 20")


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run that the command line made."""
    folder = tmp_path_factory.mktemp("commanded")
    write_tiny(folder, FEW)
    invoke("run", "tiny.toml", cwd=folder)
    return FinishedRun(folder / "runs/tiny")


@pytest.fixture
def recipe(tmp_path: Path) -> dddm.Recipe:
    return dddm.Recipe.from_file(write_tiny(tmp_path, FEW))


def assert_equal(run: dddm.Run, expected: FinishedRun) -> None:
    """Weights, store, losses, samples and scores, bit for bit."""
    made = FinishedRun(run.folder)
    for mine, theirs in (
        (made.weights(), expected.weights()),
        (made.average(), expected.average()),
    ):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(made.rows()[1], expected.rows()[1])
    assert made.losses() == expected.losses()
    samples = made.samples()
    assert samples.keys() == expected.samples().keys()
    assert all((samples[name] == images).all() for name, images in expected.samples().items())
    scores = [
        [(one["name"], one["value"]) for one in json.loads((run / "scores.json").read_text())]
        for run in (made.folder, expected.folder)
    ]
    assert scores[0] == scores[1]


class Wanted(Exception):
    """What a callback raises."""


def stop_at(step: int, *, raises: BaseException | None = None, signals: int = 0) -> object:
    def on_event(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == step:
            for _ in range(signals):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.4)
            if raises is not None:
                raise raises

    return on_event


def test_it_does_what_the_command_does(
    recipe: dddm.Recipe,
    commanded: FinishedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The same bits, in `runs/NAME`, and nothing is printed; the caller's random state stays."""
    monkeypatch.chdir(tmp_path)
    state = torch.get_rng_state()
    run = dddm.train(recipe, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert capfd.readouterr() == ("", "")
    assert run.folder == Path("runs/tiny")
    assert_equal(run, commanded)
    assert dddm.Run().folder == run.folder


def test_what_a_run_offers(commanded: FinishedRun) -> None:
    """Recipe, losses, scores, report and a generator; short to look at."""
    run = dddm.Run(commanded.folder)
    assert run.recipe.name == "tiny"
    assert list(run.losses) == list(range(1, 19))
    assert list(run.losses.values()) == commanded.losses()
    told = json.loads((commanded.folder / "scores.json").read_text())
    assert [(one.name, one.value, one.sampler, one.steps, one.images) for one in run.scores] == [
        (one["name"], one["value"], one["sampler"], one["steps"], one["images"]) for one in told
    ]
    assert run.scores[0].better == "less"
    assert run.report == commanded.folder / "report.html"
    assert run.load(device="cpu").step == 18
    assert repr(run) == f"<Run {run.folder}: 18 steps, with report>"
    assert f'<a href="{run.report}">' in run._repr_html_()


def test_events_are_those_of_observers(recipe: dddm.Recipe, tmp_path: Path) -> None:
    """From the first to the last, of each step, of samples and scores."""
    events: list[Event] = []
    run = dddm.train(recipe, folder=tmp_path / "run", on_event=events.append)
    kinds = [type(event) for event in events]
    assert kinds.index(RunStarted) < kinds.index(StepDone)
    assert kinds[-1] is RunStopped
    steps = [event for event in events if isinstance(event, StepDone)]
    assert {event.step: event.loss for event in steps} == run.losses
    assert kinds.count(SamplesDrawn) == 2
    assert {e.value for e in events if isinstance(e, ScoreMeasured)} == {
        s.value for s in run.scores
    }


@pytest.mark.parametrize("raises", [Wanted("no more"), StoppedEarly("enough"), KeyboardInterrupt()])
def test_what_a_callback_raises_stops_the_run_and_comes_out(
    recipe: dddm.Recipe, commanded: FinishedRun, tmp_path: Path, raises: BaseException
) -> None:
    """Everything up to there is saved, and the same call goes on: equal to a run without."""
    folder = tmp_path / "run"
    with pytest.raises(type(raises)) as caught:
        dddm.train(recipe, folder=folder, on_event=stop_at(8, raises=raises))  # type: ignore[arg-type]
    assert caught.value is raises
    saved = dddm.Run(folder)
    assert 8 <= max(saved.losses) < 10
    assert repr(saved) == f"<Run {folder}: {max(saved.losses)} steps>"
    assert (saved.scores, saved.report) == ([], None)
    assert_equal(dddm.train(recipe, folder=folder), commanded)


def test_a_callback_that_fails_at_the_end_is_heard(recipe: dddm.Recipe, tmp_path: Path) -> None:
    """Also where nothing is left to stop."""

    def on_event(event: Event) -> None:
        if isinstance(event, RunStopped):
            raise Wanted

    with pytest.raises(Wanted):
        dddm.train(recipe, folder=tmp_path / "run", on_event=on_event)
    assert dddm.Run(tmp_path / "run").report is not None


def test_ctrl_c_saves_and_says_what_to_do(
    recipe: dddm.Recipe, commanded: FinishedRun, tmp_path: Path
) -> None:
    """As a notebook's stop button; afterwards Python listens to it as before."""
    handler = signal.getsignal(signal.SIGINT)
    folder = tmp_path / "run"
    with pytest.raises(StoppedEarly) as caught:
        dddm.train(recipe, folder=folder, on_event=stop_at(8, signals=1))  # type: ignore[arg-type]
    assert "SIGINT" in str(caught.value)
    assert "call dddm.train" in str(caught.value)
    assert signal.getsignal(signal.SIGINT) is handler
    assert_equal(dddm.train(recipe, folder=folder), commanded)


def test_a_second_ctrl_c_ends_the_call_and_not_the_process(
    recipe: dddm.Recipe, commanded: FinishedRun, tmp_path: Path
) -> None:
    """A notebook's kernel stays, and the run can go on from the last checkpoint."""
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        dddm.train(recipe, folder=folder, on_event=stop_at(8, signals=2))  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_equal(dddm.train(recipe, folder=folder), commanded)


def test_in_a_thread(recipe: dddm.Recipe, commanded: FinishedRun, tmp_path: Path) -> None:
    """Where no signal can be listened to."""
    made: list[dddm.Run] = []
    thread = threading.Thread(
        target=lambda: made.append(dddm.train(recipe, folder=tmp_path / "run"))
    )
    thread.start()
    thread.join()
    assert_equal(made[0], commanded)


def test_observers_of_the_recipe_follow_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those that it names, here one that prints each event."""
    observe = '[[observe]]\nuse = "json-lines"\n\n[[sample]]'
    file = write_tiny(tmp_path, FEW, ("[[sample]]", observe))
    run = dddm.train(file, folder=tmp_path / "run")
    printed = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert printed[0]["event"] == "run-started"
    assert [one["loss"] for one in printed if one["event"] == "step-done"] == [*run.losses.values()]


def test_mistakes_are_named(recipe: dddm.Recipe, commanded: FinishedRun, tmp_path: Path) -> None:
    """Another recipe, no run, no checkpoint, a damaged file, a wrong argument."""
    other = dddm.Recipe.from_file(tmp_path / "tiny.toml", overrides={"backbone.channels": 4})
    with pytest.raises(RecipeError, match="channels: 8 → 4"):
        dddm.train(other, folder=commanded.folder)
    with pytest.raises(UsageError, match="there is no run folder"):
        dddm.Run(tmp_path / "nothing")
    with pytest.raises(UsageError, match="on_event"):
        dddm.train(recipe, on_event="print")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="epochs"):
        dddm.train(recipe, epochs=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="no device called 'gpu'"):
        dddm.train(recipe, folder=tmp_path / "run", device="gpu")
    folder = tmp_path / "run"
    with pytest.raises(Wanted):
        dddm.train(
            recipe,
            folder=folder,
            on_event=lambda event: (_ for _ in ()).throw(Wanted()),
        )
    (folder / "scores.json").write_text("{")
    with pytest.raises(DataError, match="scores cannot be read"):
        _ = dddm.Run(folder).scores
