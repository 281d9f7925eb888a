"""The observers for Weights & Biases, trackio and MLflow, offline, with the real packages.

What they wrote is read back from the files, by each package's own reader where it has one.
"""

import json
import shutil
import struct
import tempfile
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, final

import attrs
import pytest
from command_line import dddm, succeeded, write_tiny
from PIL import Image
from run_events import EVENTS, STARTED, step

from dddm.errors import EnvironmentProblem
from dddm.interfaces.observer import (
    CheckpointSaved,
    EpochDone,
    Event,
    Notice,
    Observer,
    RunStopped,
    SamplesDrawn,
    ScoreMeasured,
)
from dddm_observers.options import MlflowOptions, TrackioOptions, WandbOptions

pytestmark = [
    # Of the packages and of what they need.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

RECIPE: Final = 'name = "digits"\n[train]\nepochs = 2\n[[sample]]\nuse = "ddim"\nsteps = [1, 10]\n'


@attrs.frozen(kw_only=True)
class Written:
    """What a tracker holds: numbers by tag and step, files of pictures by tag, the recipe."""

    numbers: Mapping[tuple[str, int], float]
    pictures: Mapping[str, Path]
    recipe: Mapping[str, Any]
    runs: int = 1


class Backend(ABC):
    """One tracker in a folder: how to make its observer, and how to read what is there."""

    name: str

    def __init__(self, place: Path) -> None:
        self.place = place

    def environment(self) -> dict[str, str]:
        """What a process has to know to write to the same place."""
        return {}

    @abstractmethod
    def make(self, folder: Path) -> Observer: ...

    @abstractmethod
    def read(self) -> Written: ...


@final
class Wandb(Backend):
    """Its offline files are LevelDB logs of protobuf records."""

    name = "wandb"

    def make(self, folder: Path) -> Observer:
        from dddm_observers.wandb import Wandb as Made

        return Made(WandbOptions(project="tests"), folder=folder)

    def records(self) -> Iterator[Any]:
        from wandb.proto import wandb_internal_pb2

        for path in sorted(self.place.rglob("*.wandb")):
            for data in level_db_records(path.read_bytes()):
                record = wandb_internal_pb2.Record()
                record.ParseFromString(data)
                yield path, record

    def read(self) -> Written:
        numbers, pictures, recipe, ids = {}, {}, {}, set()
        for path, record in self.records():
            if record.HasField("run"):
                ids.add(record.run.run_id)
                recipe.update({c.key: json.loads(c.value_json) for c in record.run.config.update})
            row = {tuple(i.nested_key): json.loads(i.value_json) for i in record.history.item}
            for (tag, *inner), value in row.items():
                if inner == ["path"]:
                    pictures[tag] = path.parent / "files" / value
                elif "/" in tag and not inner:
                    numbers[tag, row["_step",]] = value
        recipe = {key: value for key, value in recipe.items() if key != "_wandb"}
        return Written(numbers=numbers, pictures=pictures, recipe=recipe, runs=len(ids))


def level_db_records(data: bytes) -> Iterator[bytes]:
    """Records of a log in blocks of 32 KiB, after a header of 7 bytes."""
    assert data.startswith(b":W&B")
    at, whole = 7, b""
    while at < len(data):
        if 0x8000 - at % 0x8000 < 7:
            at += 0x8000 - at % 0x8000
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in {1, 4}:  # whole, or the last part
            yield whole
            whole = b""


@final
class Trackio(Backend):
    """Where it keeps its data is read once, when it is imported; so each test has a project."""

    name = "trackio"

    @property
    def project(self) -> str:
        return f"tests-{self.place.name}"

    def make(self, folder: Path) -> Observer:
        from dddm_observers.wandb import Trackio as Made

        return Made(TrackioOptions(project=self.project), folder=folder)

    def environment(self) -> dict[str, str]:
        from trackio.utils import TRACKIO_DIR

        return {"TRACKIO_DIR": str(TRACKIO_DIR)}

    def read(self) -> Written:
        from trackio.sqlite_storage import SQLiteStorage
        from trackio.utils import MEDIA_DIR

        (run,) = SQLiteStorage.get_runs(self.project)
        numbers, pictures = {}, {}
        for row in SQLiteStorage.get_logs(self.project, run):
            for tag, value in row.items():
                if isinstance(value, dict):
                    pictures[tag] = MEDIA_DIR / value["file_path"]
                elif "/" in tag:
                    numbers[tag, row["step"]] = value
        config = SQLiteStorage.get_run_config(self.project, run) or {}
        recipe = {key: value for key, value in config.items() if not key.startswith("_")}
        return Written(numbers=numbers, pictures=pictures, recipe=recipe)


@final
class Mlflow(Backend):
    name = "mlflow"

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.place}/mlflow.db"

    def environment(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.uri}

    def make(self, folder: Path) -> Observer:
        from dddm_observers.mlflow import Mlflow as Made

        options = MlflowOptions(experiment="tests", tracking_uri=self.uri, send_seconds=0.01)
        return Made(options, folder=folder)

    def run(self) -> Any:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name("tests")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        return client, run

    def read(self) -> Written:
        client, run = self.run()
        numbers = {
            (tag.replace("-1500", "@1500"), point.step): point.value
            for tag in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, tag)
        }
        artifacts = Path(run.info.artifact_uri)
        pictures = {
            path.name.split("+")[0].replace("~", "/"): path
            for path in sorted((artifacts / "images").glob("*.png"))
        }
        return Written(
            numbers=numbers,
            pictures=pictures,
            recipe=tomllib.loads((artifacts / "recipe.toml").read_text()),
        )


@pytest.fixture(params=[Wandb, Trackio, Mlflow], ids=lambda of: of.name)
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    """One tracker, writing below the test's folder."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "TRACKIO_DIR": str(tmp_path / "trackio"),
    }.items():
        monkeypatch.setenv(name, value)
    pytest.importorskip(request.param.name)
    if request.param is Mlflow:
        shutil.copy(empty_database(), tmp_path / "mlflow.db")
    made: Backend = request.param(tmp_path)
    return made


@cache
def empty_database() -> str:
    """MLflow's tables, which take eight seconds to make."""
    import mlflow

    path = f"{tempfile.mkdtemp()}/mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}")
    return path


def follow(backend: Backend, events: Iterable[Event], run: Path) -> Written:
    observer = backend.make(run / "observers" / backend.name)
    for event in events:
        observer.on_event(event)
    observer.close()
    return backend.read()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a recipe and two grids."""
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "recipe.toml").write_text(RECIPE)
    Image.new("RGB", (8, 4), (50, 0, 0)).save(folder / "early.png")
    Image.new("RGB", (8, 4), (0, 90, 0)).save(folder / "late.png")
    return folder


def whole_run(run: Path) -> list[Event]:
    """A score and a grid in training, and both again at the end."""
    drawn = {"seconds": 1.0, "sampler": "ddim", "steps": 10, "evaluations": 10}
    score = ScoreMeasured(score="fd@1500", value=5.0, epoch=0, **drawn)  # type: ignore[arg-type]
    grid = SamplesDrawn(images=9, grid=run / "early.png", **drawn)  # type: ignore[arg-type]
    saved = next(event for event in EVENTS if isinstance(event, CheckpointSaved))
    return [
        attrs.evolve(STARTED, folder=run),
        attrs.evolve(step(1, seconds=1.0), numbers={"drift_norm": 0.75}),
        step(2, seconds=2.0),
        next(event for event in EVENTS if isinstance(event, EpochDone)),
        score,
        grid,
        step(3, seconds=3.0),
        step(4, seconds=4.0),
        attrs.evolve(saved, step=4),
        attrs.evolve(grid, grid=run / "late.png"),
        attrs.evolve(score, value=4.0, epoch=None),
        attrs.evolve(score, value=9.0, epoch=None, steps=1),
        EVENTS[-1],
    ]


only_mlflow = pytest.mark.parametrize("backend", [Mlflow], ids=["mlflow"], indirect=True)


def test_a_run_is_there_under_one_set_of_names(backend: Backend, run: Path) -> None:
    """Curves over training, scores and grids of training and of the end apart, the recipe."""
    found = follow(backend, whole_run(run), run)
    assert {step: value for (tag, step), value in found.numbers.items() if tag == "train/loss"} == {
        n: 0.125 / n for n in (1, 2, 3, 4)
    }
    expected = {
        ("train/drift-norm", 1): 0.75,
        ("train/learning-rate", 4): 2e-3,
        ("train/gradient-norm", 2): 1.5,
        ("train/images-per-second", 3): 2500.0,
        ("epoch/loss", 2): 0.1,
        ("diagnosis/given-store", 2): 0.25,
        ("scores-in-training/fd@1500/ddim-10", 2): 5.0,
        ("scores/fd@1500/ddim-10", 4): 4.0,
        ("scores/fd@1500/ddim-1", 4): 9.0,
    }
    assert {key: found.numbers.get(key) for key in expected} == pytest.approx(expected)
    colors = {}
    for tag, path in found.pictures.items():
        with Image.open(path) as image:
            assert image.size == (8, 4)
            colors[tag] = image.convert("RGB").getpixel((0, 0))
    assert colors == {"samples-in-training/ddim-10": (50, 0, 0), "samples/ddim-10": (0, 90, 0)}
    assert found.recipe == {
        "name": "digits",
        "train": {"epochs": 2},
        "sample": [{"use": "ddim", "steps": [1, 10]}],
    }


def test_a_resumed_run_is_the_same_run(backend: Backend, run: Path) -> None:
    """Also where it is continued with another recipe; what it wrote before stays."""
    follow(backend, [*whole_run(run)[:3]], run)
    (run / "recipe.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 3"))
    started = attrs.evolve(STARTED, folder=run, first_step=2)
    found = follow(backend, [started, step(3, seconds=1.0)], run)
    assert found.runs == 1
    assert {key[1] for key in found.numbers if key[0] == "train/loss"} == {1, 2, 3}
    if backend.name != "trackio":  # which keeps the first
        assert found.recipe["train"] == {"epochs": 3}


def test_scores_of_another_process_are_added(backend: Backend, run: Path) -> None:
    """`dddm evaluate` tells of scores alone."""
    events = whole_run(run)
    follow(backend, events[:3], run)
    found = follow(backend, [event for event in events if event == events[-2]], run)
    assert found.runs == 1
    assert [value for (tag, _), value in found.numbers.items() if tag == "scores/fd@1500/ddim-1"]
    assert {key[1] for key in found.numbers if key[0] == "train/loss"} == {1, 2}


def test_events_without_numbers_leave_nothing(backend: Backend, run: Path) -> None:
    """A command that draws nothing makes no run."""
    observer = backend.make(run / "observers" / backend.name)
    observer.on_event(Notice(seconds=0.0, text="hello"))
    observer.close()
    assert list((run / "observers" / backend.name).iterdir()) == []


def test_a_place_where_no_folder_can_be_is_an_error(backend: Backend, run: Path) -> None:
    (run / "observers").touch()
    with pytest.raises(EnvironmentProblem, match=backend.name):
        backend.make(run / "observers" / backend.name)


def test_a_recipe_that_names_it_is_followed(backend: Backend, tmp_path: Path) -> None:
    """Through the command line: six steps, grids and scores; stdout holds the results alone."""
    table = f'[[observe]]\nuse = "{backend.name}"\n' + (
        'experiment = "tests"\n'
        if backend.name == "mlflow"
        else f'project = "tests-{backend.place.name}"\n'
    )
    write_tiny(
        tmp_path,
        ('[evaluate]\nfeatures = "pixels"\n', '[evaluate]\nfeatures = "pixels"\n' + table),
        ("epochs = 3", "epochs = 1\nsample_every_epochs = 1"),
    )
    printed = succeeded(
        dddm("run", "tiny.toml", "--folder", "run", cwd=tmp_path, **backend.environment())
    )
    assert backend.name not in printed.lower()
    found = backend.read()
    assert {key[1] for key in found.numbers if key[0] == "train/loss"} == {1, 2, 3, 4, 5, 6}
    assert set(found.pictures) >= {
        "samples-in-training/fixed-time-2", "samples/fixed-time-1", "samples/fixed-time-2",
    }  # fmt: skip
    assert [tag for tag, _ in found.numbers if tag.startswith("scores/fd")]
    assert found.recipe["train"]["epochs"] == 1


@pytest.mark.parametrize("name", ["wandb", "trackio", "mlflow"])
def test_without_the_package_the_run_does_not_start(name: str, tmp_path: Path) -> None:
    """The message says what to install."""
    table = f'[[observe]]\nuse = "{name}"\n'
    write_tiny(tmp_path, ('[evaluate]\nfeatures = "pixels"\n', table))
    absent = tmp_path / "absent" / f"{name}.py"
    absent.parent.mkdir()
    absent.write_text(f"raise ModuleNotFoundError(\"No module named '{name}'\", name=__name__)\n")
    done = dddm("run", "tiny.toml", "--folder", "run", cwd=tmp_path, PYTHONPATH=str(absent.parent))
    assert done.returncode == 6, done.stderr
    assert f"pip install 'dddm[{name}]'" in done.stderr
    assert "Traceback" not in done.stderr


@only_mlflow
def test_mlflow_says_how_a_run_ended(backend: Mlflow, run: Path) -> None:
    """Running, killed where it can be resumed, finished; the parameters are the recipe's values."""
    started = attrs.evolve(STARTED, folder=run)
    stopped = RunStopped(seconds=9.0, reason="interrupted", step=2, message="")
    for events, status in (
        ([started], "RUNNING"),
        ([started, step(1, seconds=1.0), stopped], "KILLED"),
        ([started, attrs.evolve(stopped, reason="failed")], "FAILED"),
        ([started, attrs.evolve(stopped, reason="finished")], "FINISHED"),
    ):
        follow(backend, events, run)
        assert backend.run()[1].info.status == status
    assert backend.run()[1].data.params == {
        "name": "digits", "train.epochs": "2", "sample.0.use": "ddim", "sample.0.steps": "[1, 10]",
    }  # fmt: skip


@only_mlflow
def test_mlflow_that_cannot_be_written_to_is_told(backend: Mlflow, run: Path) -> None:
    """What the thread could not send is an exception of `close` at the latest."""
    observer = backend.make(run / "observers" / "mlflow")
    observer.on_event(attrs.evolve(STARTED, folder=run))
    observer.on_event(attrs.evolve(step(1, seconds=1.0), loss="not a number"))  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"."):
        observer.close()


def test_nobody_is_logged_in_to_weights_and_biases(run: Path, monkeypatch: Any) -> None:
    """The run does not start, and the remedy names the offline mode."""
    wandb = pytest.importorskip("wandb")
    wandb.teardown()  # it reads its environment once
    from dddm_observers.wandb import Wandb as Made

    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(run))
    monkeypatch.setenv("NETRC", str(run / "none"))
    with pytest.raises(EnvironmentProblem) as caught:
        Made(WandbOptions(), folder=run / "observers" / "wandb")
    wandb.teardown()
    assert "WANDB_MODE=offline" in str(caught.value.remedy)
