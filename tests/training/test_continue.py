"""A run goes on for longer than it was meant to, and says so; what decides its weights stays."""

import json
import tomllib
from pathlib import Path

import pytest
import tomli_w
from command_line import call, invoke, refused, succeeded, write_tiny
from equal_runs import assert_equal_runs, steps_of

from dddm.interfaces.plugin import Kind
from dddm.recipe.model import config_table, with_defaults
from dddm.recipe.read import read_component, read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.run_folder import MAY_CHANGE, prepare_folder

UNSCORED = [('[evaluate]\nfeatures = "pixels"\n', "")]


def changed(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def go_on(folder: Path, *changes: str) -> tuple[str, ...]:
    return ("run", str(folder / "tiny.toml"), "--folder", "run", *changed(*changes))


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A folder with a run of one epoch, six steps."""
    write_tiny(tmp_path, *UNSCORED, ("epochs = 3", "epochs = 1"))
    invoke(*go_on(tmp_path), cwd=tmp_path)
    return tmp_path


def test_a_finished_run_goes_on(finished: Path) -> None:
    """To the same bits as a run that was meant to be so long; then the command does nothing."""
    done = call(*go_on(finished, "train.epochs=3"), cwd=finished)
    assert "going on after step 6, with changes: train.epochs: 1 → 3" in done.stderr
    succeeded(done)
    whole = finished / "whole"
    invoke(*go_on(finished, "train.epochs=3"), "--folder", str(whole), cwd=finished)
    assert_equal_runs(finished / "run", whole)
    (entry,) = json.loads((finished / "run/run.json").read_text())["changed"]
    assert (entry["step"], entry["changes"]) == (6, ["train.epochs: 1 → 3"])
    log = (finished / "run/events.jsonl").read_text()
    again = call(*go_on(finished, "train.epochs=3"), cwd=finished)
    assert "going on" not in succeeded(again) + again.stderr
    assert (finished / "run/events.jsonl").read_text().startswith(log)
    assert len(json.loads((finished / "run/run.json").read_text())["changed"]) == 1
    shorter = call(*go_on(finished), cwd=finished)
    refused(shorter, "has made 18 steps already, more than epochs = 1 makes", code=3)
    otherwise = call(*go_on(finished, "train.steps=7"), cwd=finished)
    assert otherwise.returncode == 3


def test_what_was_to_be_longer_and_was_killed_at_once_goes_on(finished: Path) -> None:
    """The folder's recipe is the longer one already, and its checkpoint that of the shorter one."""
    more = read_recipe(
        finished / "tiny.toml", overrides=["train.epochs=2"], catalogue=load_catalogue()
    )
    prepare_folder(more, finished / "run")
    invoke(*go_on(finished, "train.epochs=2"), cwd=finished)
    assert len(steps_of(finished / "run")) == 12


def test_the_learning_rate_may_change_where_there_are_steps_to_come(finished: Path) -> None:
    """The log has both rates; a finished run has no use for another one."""
    rate = "learning_rate.rate=1e-3"
    refused(call(*go_on(finished, rate), cwd=finished), "no step to act on", code=3)
    invoke(*go_on(finished, rate, "train.epochs=2"), cwd=finished)
    rates = [step["learning_rate"] for step in steps_of(finished / "run")]
    assert rates == [2e-3] * 6 + [1e-3] * 6
    (entry,) = json.loads((finished / "run/run.json").read_text())["changed"]
    assert entry["changes"] == ["learning_rate.rate: 0.002 → 0.001", "train.epochs: 1 → 2"]


@pytest.mark.parametrize(
    "change",
    ["train.batch_images=125", "train.ema=0.8", "seed=6", "objective.estimate_dropout=0.2"],
)
def test_nothing_else_may_change(finished: Path, change: str) -> None:
    """What decides the weights is named, and the folder's recipe stays as it was."""
    before = (finished / "run/recipe.toml").read_text()
    done = call(*go_on(finished, change, "train.epochs=2"), cwd=finished)
    error = refused(done, "another recipe", change.partition("=")[0], code=3)
    assert "epochs" not in error
    assert (finished / "run/recipe.toml").read_text() == before


def test_the_page_on_training_names_what_may_change() -> None:
    text = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
    section = text.partition("## Go on with a run")[2].partition("\n## ")[0]
    assert [key for key in sorted(MAY_CHANGE) if f"`{key}`" not in section] == []


def store_less(folder: Path, *removed: tuple[str, str | None]) -> None:
    """The run's stored recipe as a version before these options, or whole tables, wrote it."""
    file = folder / "run/recipe.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    for table, key in removed:
        del (tables if key is None else tables[table])[table if key is None else key]
    file.write_text(tomli_w.dumps(tables), encoding="utf-8")


def test_options_that_came_after_a_run_was_stored_have_their_defaults(finished: Path) -> None:
    """Of `[train]`, of a component and of a whole table; nothing is said to have changed."""
    before = (finished / "run/recipe.toml").read_text()
    store_less(finished, ("train", "tf32"), ("backbone", "dropout"), ("optimizer", None))
    again = call(*go_on(finished), cwd=finished)
    assert "going on" not in succeeded(again) + again.stderr
    assert "changed" not in json.loads((finished / "run/run.json").read_text())
    assert (finished / "run/recipe.toml").read_text() == before


@pytest.mark.parametrize(
    ("removed", "change"),
    [
        (("train", "tf32"), "train.tf32=true"),
        (("backbone", "dropout"), "backbone.dropout=0.5"),
        (("optimizer", None), "optimizer.eps=1e-3"),
        (("train", "ema_warmup"), "train.ema_warmup=true"),
    ],
)
def test_a_newer_option_that_is_no_default_is_a_change(
    finished: Path, removed: tuple[str, str | None], change: str
) -> None:
    """A run from before the option had its default, and cannot go on with another value."""
    store_less(finished, removed)
    done = call(*go_on(finished, change), cwd=finished)
    refused(done, "another recipe", removed[1] or removed[0], code=3)


def test_a_component_within_another_has_its_newer_defaults_too() -> None:
    """Only what is absent: what was stored stays."""
    drifting = read_component(
        Kind.OBJECTIVE,
        "drifting",
        options=["rows=4", 'features={use="learned",epochs=3}'],
        catalogue=load_catalogue(),
    )
    now = config_table(drifting)
    assert len(now["features"]) > 2
    stored = {key: value for key, value in now.items() if key not in {"rows", "statistics"}}
    stored["features"] = {"use": "dddm:learned", "epochs": 5}
    features = now["features"] | {"epochs": 5}
    assert with_defaults(stored, drifting.options) == now | {"rows": 10, "features": features}
