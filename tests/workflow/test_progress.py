"""Scores during training, and the best weights."""

from pathlib import Path

import pytest
from command_line import dddm, succeeded
from training_runs import run_tiny

from dddm.training.checkpoint import list_checkpoints, read
from dddm.training.event_log import read_events
from dddm.training.run_folder import RunFolder

OPTIONS = ("train.score_every_epochs=1", "train.score_images=70", "train.extra_ema_decays=[0.5]")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The tiny recipe, scored in pixels after each epoch."""
    return run_tiny(tmp_path_factory.mktemp("scored"), *OPTIONS, changes=())


def test_each_epoch_is_scored(scored: RunFolder) -> None:
    """One- and two-step distances after each of three epochs stand in the log."""
    scores = [
        event
        for event in read_events(scored.events, event="score-measured")
        if event["epoch"] is not None
    ]
    assert [(e["epoch"], e["steps"]) for e in scores] == [(n, s) for n in range(3) for s in (1, 2)]
    assert {event["score"] for event in scores} == {"fd-pixels@70"}


def test_the_best_weights_are_kept(scored: RunFolder) -> None:
    """best/ holds the averaged weights of the epoch whose one-step samples score best."""
    one_step = {
        event["epoch"]: event["value"]
        for event in read_events(scored.events, event="score-measured")
        if event["epoch"] is not None and event["steps"] == 1
    }
    (path,) = list_checkpoints(scored.best)
    best = read(path).state["best"]
    assert best["value"] == min(one_step.values())
    assert one_step[best["epoch"]] == best["value"]
    assert best["step"] == 6 * (best["epoch"] + 1)


def test_the_first_score_decides_in_its_direction(tmp_path: Path) -> None:
    """Of a score of which more is better, the weights with the largest value are the best."""
    more = ('evaluate.scores=[{use="density-coverage", training_images=60}, "fd"]',)
    run = run_tiny(tmp_path / "more", *OPTIONS[:2], *more, changes=())
    events = [e for e in read_events(run.events, event="score-measured") if e["epoch"] is not None]
    assert {event["score"] for event in events} == {"density-pixels@70"}
    (path,) = list_checkpoints(run.best)
    one_step = [event["value"] for event in events if event["steps"] == 1]
    assert read(path).state["best"]["value"] == max(one_step)


def test_samples_from_other_weights(scored: RunFolder) -> None:
    """`dddm sample` draws from the best weights and from another average, each in its folder."""
    run = str(scored.path)
    folders = [
        succeeded(dddm("sample", run, "--images", "3", *words, cwd=scored.path.parent)).strip()
        for words in (("--best",), ("--ema", "0.5"), ())
    ]
    assert [Path(folder).name for folder in folders] == [
        "fixed-time-1-seed0-best-ema",
        "fixed-time-1-seed0-ema-0.5",
        "fixed-time-1-seed0",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ema", "0.25"), "or use 0.5"),
        (("--best", "--ema", "0.5"), "use --best or --ema, not both"),
    ],
)
def test_weights_that_are_not_kept(scored: RunFolder, words: tuple[str, ...], said: str) -> None:
    """What the run does not keep is refused, with what it keeps."""
    refused = dddm("sample", str(scored.path), *words, cwd=scored.path.parent)
    assert refused.returncode == 2
    assert said in refused.stderr
