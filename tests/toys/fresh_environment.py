"""A virtual environment as a user has it: dddm as a wheel, and nothing of this checkout.

Torch and its like are not installed again: they are linked from where the tests run.  What belongs
to dddm, or to any plugin of it, is not, so that nothing comes in but what was installed.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import final

from attrs import frozen
from command_line import environment

ROOT = Path(__file__).parents[2]
WHAT_THE_WHEEL_IS_MADE_OF = (
    "dddm", "plugins", "recipes", "pyproject.toml", "setup.py", "README.md", "LICENSE",
)  # fmt: skip
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the value of --build-isolation
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_CONFIG_FILE": os.devnull,
}
"""With these, what a page says to users needs no network."""

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@final
@frozen(kw_only=True)
class Environment:
    """A virtual environment in a folder of its own."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables under which its commands come first."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        bare = {
            name: value
            for name, value in environment().items()
            if name != "PYTHONPATH" and not name.startswith("PIP_")
        }
        return {**bare, **OFFLINE, "PATH": path}

    def install(self, wheels: Iterable[Path]) -> None:
        """Install wheels, and nothing that they depend on."""
        self.run("python", "-m", "pip", "install", "--no-deps", *wheels, cwd=self.folder)

    def run(self, program: str, *words: str | Path, cwd: Path) -> str:
        """What one of its programs, which must succeed, prints."""
        path = self.folder / "bin" / program
        return finished([path, *words], cwd=cwd, variables=self.variables)


def wheel_of_dddm(folder: Path) -> Path:
    """Build dddm's wheel from a copy: setuptools leaves things behind where it builds."""
    source = folder / "source"
    for name in WHAT_THE_WHEEL_IS_MADE_OF:
        if (ROOT / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
            shutil.copytree(ROOT / name, source / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, source / name)
    (wheel,) = wheels_of([source], folder / "wheel")
    return wheel


def wheels_of(sources: Iterable[Path], folder: Path) -> list[Path]:
    """Build the wheel of each source, as its `build-system` says: with setuptools."""
    folder.mkdir(exist_ok=True)
    for source in sources:
        finished(
            [sys.executable, "-c", BUILD, folder], cwd=source, variables=environment(**OFFLINE)
        )
    return sorted(folder.glob("*.whl"))


def make_environment(folder: Path, *, wheels: Iterable[Path]) -> Environment:
    """A new one with these wheels installed."""
    made = Environment(folder=folder / "venv")
    venv.create(made.folder, with_pip=False)
    shelf = folder / "shelf"
    _fill(shelf)
    (site,) = made.folder.glob("lib/python*/site-packages")
    (site / "shelf.pth").write_text(f"{shelf}\n")
    made.install(wheels)
    return made


def finished(words: Sequence[str | Path], *, cwd: Path, variables: Mapping[str, str]) -> str:
    """What a program that must succeed printed."""
    done = subprocess.run(
        words, cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _fill(shelf: Path) -> None:
    """Link what is installed where the tests run, but for dddm and its plugins."""
    shelf.mkdir()
    ours = {name for found in distributions() if _is_ours(found) for name in _tops(found)}
    for folder in map(Path, sys.path):
        if folder.name not in {"site-packages", "dist-packages"}:
            continue
        for entry in folder.iterdir():
            link = shelf / entry.name
            # Of two of one name the first is what Python imports; .pth files work nowhere else.
            if entry.name not in ours and entry.suffix != ".pth" and not link.exists():
                link.symlink_to(entry)


def _is_ours(found: Distribution) -> bool:
    return any(point.group == "dddm" for point in found.entry_points)


def _tops(found: Distribution) -> set[str]:
    """The files and folders of a distribution where it is installed."""
    return {file.parts[0] for file in found.files or []} - {".."}
