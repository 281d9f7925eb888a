"""What every test starts from: one thread, no hidden random state, a cache of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from command_line import invoke, write_tiny
from fresh_environment import wheel_of_dddm
from hypothesis import settings
from standing_alone import StandingAlone

settings.register_profile("dddm", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("dddm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--alone", action="store_true", help="the core's tests, where no built-in plugin is there"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--alone"):
        config.pluginmanager.register(StandingAlone())


@pytest.fixture(autouse=True)
def _one_thread_and_a_known_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _a_cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDDM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def dddm_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, for environments that know nothing else of it."""
    return wheel_of_dddm(tmp_path_factory.mktemp("dddm-wheel"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/tiny`, trained for two epochs, with two checkpoints; read-only."""
    folder = tmp_path_factory.mktemp("trained")
    write_tiny(
        folder,
        ('[evaluate]\nfeatures = "pixels"\n', ""),
        ("epochs = 3", "epochs = 2"),
        ("checkpoint_every_epochs = 2", "checkpoint_every_epochs = 1"),
    )
    invoke("run", "tiny.toml", cwd=folder)
    return folder
