"""The command line with every built-in switched off and toys installed in their place."""

import subprocess
import sys
from pathlib import Path

import pytest
from alone import LIST_MODULES, RECIPE, Alone
from command_line import succeeded
from toy_distributions import install


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whole runs of toys take their time, and say nothing where built-ins are about."""
    runs = collection_path.name == "test_commands.py"
    return True if runs and not config.getoption("--alone") else None


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """The toys as a third-party distribution, `dddm-toy`, with namespace `toy`."""
    site = tmp_path_factory.mktemp("site")
    hook = "from toy_components import dddm_register\n"
    install(site, "dddm-toy", version="1.5", dddm_toy=("toy", hook))
    return Alone(site)


@pytest.fixture(scope="session")
def trained(alone: Alone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipe was run from beginning to end; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "toy.toml").write_text(RECIPE)
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, "run", "toy.toml"],
        cwd=folder,
        env=alone.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    (folder / "printed").write_text(succeeded(done))
    (folder / "seen").write_text(done.stderr)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the recipe."""
    (tmp_path / "toy.toml").write_text(RECIPE)
    return tmp_path
