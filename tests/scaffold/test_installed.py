"""What `dddm plugin new` writes is built, installed in a fresh environment, tested and used.

One environment holds dddm as a wheel and one new package of each kind, likewise as wheels.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, final

import pytest
from attrs import frozen
from fresh_environment import Environment, make_environment, wheels_of

from dddm.interfaces.plugin import Kind

every_kind = pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)

SHORT = (
    "--set", "train.epochs=1", "--set", "train.batch_images=500",
    "--set", "sample.0.steps=[1]", "--set", "sample.0.images=10", "--set", "backbone.channels=8",
)  # fmt: skip

TOGETHER = """\
format = 2
name = "together"

[data]
use = "new-dataset"
train_images = 200

[schedule]
use = "new-schedule"

[backbone]
use = "new-backbone"
channels = 8

[metric]
use = "new-metric"

[targets]
use = "new-target-store"

[train]
epochs = 2
batch_images = 100
checkpoint_every_epochs = 1

[[sample]]
use = "new-sampler"
steps = [1, 2]
images = 10

[evaluate]
features = "new-features"

[[observe]]
use = "new-observer"
"""


@final
@frozen(kw_only=True)
class NewPlugins:
    """An environment with one new package of each kind, and their sources."""

    environment: Environment
    folder: Path

    def source(self, kind: Kind) -> Path:
        return self.folder / f"dddm-new-{kind.value}"

    def dddm(self, *words: str | Path, cwd: Path) -> str:
        return self.environment.run("dddm", *words, cwd=cwd)


@pytest.fixture(scope="module")
def plugins(dddm_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> NewPlugins:
    """The packages are written by the wheel that is installed, so that templates must be in it."""
    folder = tmp_path_factory.mktemp("plugins")
    environment = make_environment(folder, wheels=[dddm_wheel])
    made = NewPlugins(environment=environment, folder=folder)
    for kind in Kind:
        made.dddm("plugin", "new", f"dddm-new-{kind.value}", "--kind", kind.value, cwd=folder)
    environment.install(wheels_of([made.source(kind) for kind in Kind], folder / "wheels"))
    return made


def test_nothing_of_the_checkout_is_there(plugins: NewPlugins) -> None:
    """All that dddm finds was installed into the environment."""
    code = (
        "import importlib.metadata as m, json, dddm, dddm_new_metric as new\n"
        "points = m.entry_points(group='dddm')\n"
        "print(json.dumps([dddm.__file__, new.__file__, *{str(p.dist._path) for p in points}]))\n"
    )
    places = json.loads(plugins.environment.run("python", "-c", code, cwd=plugins.folder))
    assert len(places) == 2 + 1 + len(Kind)
    assert all(Path(place).is_relative_to(plugins.environment.folder) for place in places)


def test_their_own_tests_pass(plugins: NewPlugins) -> None:
    """Conformance and mathematics of every kind, with warnings as errors."""
    plugins.environment.run(
        "python", "-m", "pytest", "-q", "-Werror", "--import-mode=importlib", "-pno:cacheprovider",
        *(plugins.source(kind) / "tests" for kind in Kind), cwd=plugins.folder,
    )  # fmt: skip


def test_their_types_are_right(plugins: NewPlugins) -> None:
    """To mypy at its strictest, which reads the types of the installed dddm."""
    files = [
        file
        for kind in Kind
        for file in sorted(plugins.source(kind).rglob("*.py"))
        # One of the files that are all the same: they are modules of one name.
        if "build" not in file.parts and (file.stem != "test_conformance" or kind is Kind.METRIC)
    ]
    assert len(files) >= 4 * len(Kind)
    plugins.environment.run("python", "-m", "mypy", "--strict", *files, cwd=plugins.folder)


@every_kind
def test_help_shows_it_and_its_recipe_is_right(plugins: NewPlugins, kind: Kind) -> None:
    """As of any built-in: by its bare name, with its options; and `dddm check` finds nothing."""
    facts = json.loads(
        plugins.dddm("plugins", "show", f"new-{kind.value}", "--json", cwd=plugins.folder)
    )
    (found,) = [component for component in facts if component["kind"] == kind.value]
    assert found["id"] == f"new-{kind.value}:new-{kind.value}"
    assert found["package"] == f"dddm-new-{kind.value}"
    source = plugins.source(kind)
    assert found["id"] in (source / "recipe.toml").read_text()
    plugins.dddm("check", "recipe.toml", cwd=source)


@pytest.mark.parametrize("kind", [Kind.METRIC, Kind.BACKBONE], ids=lambda kind: kind.value)
def test_its_recipe_runs(plugins: NewPlugins, kind: Kind) -> None:
    """On the digits, made shorter still, to a report that names the component."""
    source = plugins.source(kind)
    plugins.dddm("run", "recipe.toml", *SHORT, cwd=source)
    (report,) = source.glob("runs/*/report.html")
    assert f"new-{kind.value}" in report.read_text()


def test_all_of_them_run_together(plugins: NewPlugins) -> None:
    """Every part of a run comes from a plugin: training, checkpoints, samples and scores."""
    (plugins.folder / "together.toml").write_text(TOGETHER)
    plugins.dddm("run", "together.toml", cwd=plugins.folder)
    run = plugins.folder / "runs" / "together"
    (losses,) = (run / "observers").glob("*/losses.csv")
    assert len(losses.read_text().splitlines()) == 1 + 2
    kept: dict[str, Any] = tomllib.loads((run / "recipe.toml").read_text())
    assert kept["metric"] == {"use": "new-metric:new-metric", "eps": 1e-3}
    assert (run / "report.html").exists()
