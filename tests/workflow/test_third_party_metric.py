"""A third-party metric trains a run: what it needs, what is recorded of it, and another version."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import dddm, succeeded, write_tiny
from toy_distributions import install

from dddm.training.checkpoint import list_checkpoints
from dddm.training.event_log import read_events

PLUGIN = """\
from attrs import frozen
from dddm.interfaces.plugin import Kind, hookimpl, option

@frozen(kw_only=True)
class Options:
    eps: float = option(0.1, above=0, help="How far from zero the corner is rounded off.")

@hookimpl
def dddm_register(registrar):
    registrar.add(
        Kind.METRIC, "charbonnier", target="focal_parts:Charbonnier", options=Options,
        summary="sqrt(d^2 + eps^2), averaged over pixels.",
    )
    registrar.add(Kind.OBSERVER, "third-step", target="focal_parts:ThirdStep", summary="Stops.")
"""

PARTS = """\
from dddm.errors import StoppedEarly
from dddm.interfaces.metric import Metric
from dddm.interfaces.observer import Observer, StepDone

class Charbonnier(Metric):
    def __init__(self, options):
        self.eps = options.eps

    def distance(self, *, estimate, target):
        return ((estimate - target).square() + self.eps**2).sqrt().flatten(1).mean(1) - self.eps

class ThirdStep(Observer):
    def __init__(self, options, *, folder):
        pass

    def on_event(self, event):
        if isinstance(event, StepDone) and event.step == 3:
            raise StoppedEarly("three steps are enough for now")
"""

OBSERVERS = '[[observe]]\nuse = "terminal"\n[[observe]]\nuse = "third-step"\n'
CHANGES = (
    ('[evaluate]\nfeatures = "pixels"\n', OBSERVERS),
    ('use = "pseudo-huber"\nc = 0.0043', 'use = "focal:charbonnier"\neps = 0.05'),
    ("seed = 5", 'seed = 5\nrequires = ["dddm-focal>=1.2"]'),
    ("epochs = 3", "epochs = 1"),
)  # fmt: skip


def install_focal(folder: Path, version: str) -> Path:
    """The distribution alone, in this version."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    install(site, "dddm-focal", version=version, focal_plugin=("focal", PLUGIN))
    (site / "focal_parts.py").write_text(PARTS)
    return site


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return dddm(*words, cwd=folder, PYTHONPATH=str(folder / "site"))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with version 1.2 of the third-party package, which its own observer has stopped."""
    folder = tmp_path_factory.mktemp("stopped")
    install_focal(folder, "1.2")
    write_tiny(folder, *CHANGES)
    done = command(folder, "run", "tiny.toml", "--folder", "run", "--set", "sample=[]")
    assert done.returncode == 75, done.stderr
    return folder


@pytest.mark.parametrize(
    ("installed", "says"),
    [
        (None, "the recipe needs dddm-focal>=1.2, but dddm-focal is not installed"),
        ("1.1", "the recipe needs dddm-focal>=1.2, but dddm-focal is installed as 1.1"),
    ],
)
def test_a_recipe_says_what_it_cannot_do_without(
    tmp_path: Path, installed: str | None, says: str
) -> None:
    """Missing or too old: exit code 4, the place, and the command that installs it."""
    write_tiny(tmp_path, *CHANGES)
    if installed is not None:
        install_focal(tmp_path, installed)
    done = command(tmp_path, "check", "tiny.toml")
    assert done.returncode == 4
    assert f"tiny.toml:4:13: {says}" in done.stderr
    assert "try: python -m pip install 'dddm-focal>=1.2'" in done.stderr


def test_a_checkpoint_records_ids_and_versions(stopped: Path) -> None:
    """Of the third-party components and of ours, with the installed version that sufficed."""
    succeeded(command(stopped, "check", "tiny.toml"))
    (saved,) = list_checkpoints(stopped / "run" / "checkpoints")
    state: dict[str, Any] = json.loads((saved / "state.json").read_text())
    assert state["components"]["focal:charbonnier"] == "dddm-focal 1.2"
    assert state["components"]["focal:third-step"] == "dddm-focal 1.2"
    assert state["components"]["dddm:vp"].startswith("dddm ")
    assert state["versions"]["dddm-focal"] == "1.2"


def test_going_on_with_another_version_says_so(stopped: Path) -> None:
    """On the screen and in the log."""
    install_focal(stopped, "1.3")
    done = command(stopped, "run", "tiny.toml", "--folder", "run", "--set", "sample=[]")
    succeeded(done)
    words = "saved with other versions: dddm-focal 1.2 → 1.3; results may differ"
    assert done.stderr.count(words) == 1
    told = [event["text"] for event in read_events(stopped / "run/events.jsonl", event="notice")]
    assert [text for text in told if words in text]
