"""Third-party observers follow a run, fail in every way, and ask it to stop.

They come in by a distribution on the path, and the run goes through the real command line.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import dddm, succeeded, write_tiny
from safetensors.torch import load_file
from several import SHARED, losses_of, write_shared
from toy_distributions import install

from dddm.training import checkpoint as checkpoints
from dddm.training.event_log import read_events

PLUGIN = """\
from typing import Literal
from attrs import frozen
from dddm.interfaces.plugin import Kind, NoOptions, hookimpl, option

@frozen(kw_only=True)
class Options:
    does: str = option(help="What goes wrong.")
    at_step: int = option(7, help="When it asks to stop.")

@hookimpl
def dddm_register(registrar):
    registrar.add(Kind.OBSERVER, "eye", target="toy_eye:Eye", options=Options, summary="It fails.")
    registrar.add(Kind.OBSERVER, "blind", target="toy_eye:Blind", summary="Not there.")
"""

EYE = """\
from pathlib import Path
from dddm.errors import EnvironmentProblem, StoppedEarly
from dddm.interfaces.observer import Observer, StepDone

class Eye(Observer):
    def __init__(self, options, *, folder):
        self.options = options
        if options.does == "refuse":
            raise EnvironmentProblem("there is no tracker", where="here", remedy="start it")
        if options.does == "fail when made":
            raise ValueError("no key")

    def on_event(self, event):
        does = self.options.does
        if does == "fail":
            raise RuntimeError("no tracker today")
        if does == "interrupt":
            raise KeyboardInterrupt
        if does == "exit" and isinstance(event, StepDone):
            raise SystemExit(3)
        if does == "ask" and isinstance(event, StepDone) and event.step == self.options.at_step:
            raise StoppedEarly("the loss has not fallen for long")

    def close(self):
        if self.options.does == "fail when closed":
            raise OSError("the tracker has gone")
"""

NO_SCORES = ('[evaluate]\nfeatures = "pixels"\n', "")
STEPS = 18


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the third-party distribution."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "dddm-toy", version="1.2", toy_eye_plugin=("toy", PLUGIN))
    (folder / "toy_eye.py").write_text(EYE)
    return folder


def observing(*does: str, at_step: int = 7) -> str:
    """Tables of the recipe: one observer for each failure, and the built-in display."""
    eyes = [f'[[observe]]\nuse = "toy:eye"\ndoes = "{what}"\nat_step = {at_step}' for what in does]
    return "\n".join(['[[observe]]\nuse = "terminal"', *eyes]) + "\n"


def run(folder: Path, site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Train; nothing is sampled or scored."""
    tiny = ("run", "tiny.toml", "--folder", "run", "--set", "sample=[]")
    return dddm(*tiny, *words, cwd=folder, PYTHONPATH=str(site))


def notices(run_folder: Path) -> list[str]:
    return [event["text"] for event in read_events(run_folder / "events.jsonl", event="notice")]


def group(run_folder: Path, name: str) -> list[torch.Tensor]:
    """Tensors of the newest checkpoint, in the order of their names."""
    file = f"step-{STEPS:08d}/{name}.safetensors"
    return [tensor for _, tensor in sorted(load_file(run_folder / "checkpoints" / file).items())]


def last_event(run_folder: Path) -> dict[str, Any]:
    return list(read_events(run_folder / "events.jsonl"))[-1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Path:
    """A run whose observers all fail, with what it wrote on stderr."""
    folder = tmp_path_factory.mktemp("undisturbed")
    failing = ("fail", "fail when made", "fail when closed", "interrupt", "exit")
    write_tiny(folder, (NO_SCORES[0], observing(*failing)))
    done = run(folder, site)
    succeeded(done)
    (folder / "stderr").write_text(done.stderr)
    return folder


def test_observers_that_fail_are_named_once_and_counted(undisturbed: Path) -> None:
    """On the screen and in the log, with id, package, version, file and line; the run finishes."""
    shown = (undisturbed / "stderr").read_text()
    texts = notices(undisturbed / "run")
    for words in (
        "failed when it got a Notice event: RuntimeError: no tracker today (",
        "failed when it was made, and is left out: ValueError: no key (",
        "failed when it got a StepDone event: SystemExit: 3 (",
        "failed when it was closed: OSError: the tracker has gone (",
    ):
        assert shown.count(words) == 1
        (told,) = [text for text in texts if words in text]
        assert told.startswith("observer toy:eye of dddm-toy 1.2 ")
        assert "toy_eye.py:" in told
    assert "Traceback" not in shown
    tallies = [text for text in texts if text.startswith("observer") and "events" in text]
    assert len(tallies) == 3
    assert any(f"failed at {STEPS} of" in text for text in tallies)
    stopped = list(read_events(undisturbed / "run" / "events.jsonl", event="run-stopped"))
    assert [event["reason"] for event in stopped] == ["finished"]


def test_an_observer_asks_a_run_to_stop_and_it_goes_on_as_if_nothing_had_been(
    tmp_path: Path, site: Path, undisturbed: Path
) -> None:
    """Exit code 75, who asked and why, all saved one step on; resumed equals undisturbed."""
    write_tiny(tmp_path, (NO_SCORES[0], observing("ask")))
    done = run(tmp_path, site)
    assert done.returncode == 75, done.stderr
    words = "stopped by observer toy:eye of dddm-toy 1.2: the loss has not fallen for long"
    assert words in done.stderr
    assert "give the same command again" in done.stderr
    assert last_event(tmp_path / "run")["reason"] == "interrupted"
    saved = checkpoints.find_newest(tmp_path / "run" / "checkpoints").checkpoint
    assert saved is not None
    assert saved.step == 8
    resumed = run(tmp_path, site)
    succeeded(resumed)
    assert "other versions" not in resumed.stderr
    ours, theirs = (folder / "run" for folder in (tmp_path, undisturbed))
    assert losses_of(ours) == losses_of(theirs)
    for name in ("model", "ema", "optimizer", "memory-estimate-0000"):
        for tensor, other in zip(group(ours, name), group(theirs, name), strict=True):
            assert torch.equal(tensor, other)


def test_all_processes_stop_where_an_observer_of_the_first_asks(tmp_path: Path, site: Path) -> None:
    """Only the first process has observers, and both save the same step."""
    write_shared(tmp_path)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(recipe.read_text() + observing("ask", at_step=4))
    assert SHARED[1] in recipe.read_text()
    done = run(tmp_path, site, "--nproc", "2")
    assert done.returncode == 75, done.stderr
    assert "stopped by observer toy:eye of dddm-toy 1.2" in done.stderr
    saved = checkpoints.find_newest(tmp_path / "run" / "checkpoints").checkpoint
    assert saved is not None
    assert saved.step == 5
    assert {"memory-estimate-0000", "memory-estimate-0001"} <= set(saved.files)
    assert len(losses_of(tmp_path / "run")) == 5


def test_one_that_the_recipe_names_may_refuse_before_training(tmp_path: Path, site: Path) -> None:
    """By an error of dddm, whose words and exit code are the command's."""
    write_tiny(tmp_path, (NO_SCORES[0], observing("refuse")))
    done = run(tmp_path, site)
    assert done.returncode == 6, done.stderr
    assert "there is no tracker\n  at: here\n  try: start it" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_a_default_one_that_is_not_there_harms_no_run(tmp_path: Path) -> None:
    """A third-party observer that follows every run is left out where it cannot be imported."""
    site = tmp_path / "site"
    source = PLUGIN.replace('summary="Not there."', 'summary="Not there.", default=True')
    install(site, "dddm-toy", version="1.2", toy_eye_plugin=("toy", source))
    write_tiny(tmp_path, NO_SCORES, ("epochs = 3", "epochs = 1"))
    done = run(tmp_path, site)
    succeeded(done)
    assert "observer toy:blind of dddm-toy 1.2 failed when it was made, and is left" in done.stderr
