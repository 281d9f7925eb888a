"""What is installed is whole, and takes no name that is not ours."""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]

PACKAGES = (
    "dddm",
    "dddm_backbones",
    "dddm_datasets",
    "dddm_features",
    "dddm_learning_rates",
    "dddm_metrics",
    "dddm_objectives",
    "dddm_observers",
    "dddm_optimizers",
    "dddm_parametrizations",
    "dddm_samplers",
    "dddm_schedules",
    "dddm_scores",
    "dddm_stores",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    """Each carries py.typed, so that type checkers of others read it."""
    assert files(package).joinpath("py.typed").is_file()


def test_data_files_are_there() -> None:
    """Recipes, the classifier's weights and the report's template travel with the packages."""
    assert files("dddm_recipes").joinpath("digits.toml").is_file()
    assert files("dddm_recipes").joinpath("presets", "unbiased.toml").is_file()
    trained = files("dddm_recipes").joinpath("trained", "digits")
    assert trained.joinpath("manifest.json").is_file()
    assert trained.joinpath("samples", "fixed-time-1", "grid.png").is_file()
    assert files("dddm_features").joinpath("digits.safetensors").is_file()
    page = files("dddm.report")
    assert page.joinpath("run_page.html.j2").is_file()
    assert page.joinpath("style.css").is_file()


def test_weights_stay_small() -> None:
    """The digits classifier that everybody downloads is under 400 KB."""
    weights = files("dddm_features").joinpath("digits.safetensors")
    assert len(weights.read_bytes()) < 400_000


def test_built_ins_are_declared_like_a_third_party_plugin() -> None:
    """One entry point in group `dddm` for each built-in package, under its own name."""
    ours = [point for point in entry_points(group="dddm") if point.value.startswith("dddm_")]
    assert sorted(point.value for point in ours) == sorted(PACKAGES[1:])
    assert all(point.name == "dddm." + point.value.removeprefix("dddm_") for point in ours)


def test_no_common_name_is_taken() -> None:
    """The wheel installs no package called plugins, recipes, tests or docs."""
    installed = distribution("dddm").files or []
    if distribution("dddm").read_text("RECORD") is None:
        pytest.skip("dddm runs from its checkout; only an installed wheel has a list of files")
    tops = {Path(file).parts[0] for file in installed}
    assert not tops & {"plugins", "recipes", "tests", "docs", "benchmarks"}


def required(words: Iterable[Any], *, extra: str = "") -> set[tuple[str, str, str]]:
    """Name, specifier and extra of requirements."""
    parsed = [Requirement(word) for word in words if isinstance(word, str)]
    return {(canonicalize_name(one.name), str(one.specifier), extra) for one in parsed}


def test_the_lock_is_of_these_requirements() -> None:
    """`uv lock` was called after they changed, and took nothing from elsewhere than PyPI."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "uv.lock").read_text()
    (ours,) = (one for one in tomllib.loads(text)["package"] if one["name"] == "dddm")
    locked = {
        (one["name"], one.get("specifier", ""), one.get("marker", "")[len("extra == '") : -1])
        for one in ours["metadata"]["requires-dist"]
    }
    wanted = required(project["project"]["dependencies"])
    for extra, words in project["project"]["optional-dependencies"].items():
        wanted |= required(words, extra=extra)
    assert locked == wanted, "pyproject.toml has changed: call `uv lock`"
    for group, words in project["dependency-groups"].items():
        included = [
            word
            for one in words
            if not isinstance(one, str)
            for word in project["dependency-groups"][one["include-group"]]
        ]
        of_group = ours["metadata"]["requires-dev"][group]
        locked = {(one["name"], one.get("specifier", ""), "") for one in of_group}
        assert locked == required([*words, *included]), "pyproject.toml has changed: call `uv lock`"
    hosts = set(re.findall(r"https?://([^/\"]+)", text))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}
