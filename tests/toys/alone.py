"""The command line in a process that has toys and no built-in."""

from importlib.metadata import entry_points
from pathlib import Path
from subprocess import CompletedProcess

from attrs import frozen
from command_line import dddm, environment, succeeded

TOYS = Path(__file__).parent

RECIPE = """\
format = 2
name = "toy"
seed = 4

[data]
use = "ramps"

[objective]
use = "remember"

[schedule]
use = "circle"

[backbone]
use = "numbers"
scale = 0.25

[metric]
use = "square"

[targets]
use = "tensors"

[optimizer]
use = "descent"

[learning_rate]
use = "flat"
rate = 0.02

[train]
epochs = 6
batch_images = 12
ema = 0.9
ema_warmup = true
sample_every_epochs = 3
checkpoint_every_epochs = 2

[[sample]]
use = "again"
steps = [1, 3]
images = 40

[evaluate]
features = "values"
"""


LIST_MODULES = """
import atexit, pathlib, sys
atexit.register(lambda: pathlib.Path("loaded").write_text("\\n".join(sys.modules)))
from dddm.cli.main import main
main(sys.argv[1:])
"""
"""The command line, which leaves the names of all modules that it has imported."""


@frozen
class Alone:
    """The command line with toys, from where `site` is, and without built-ins."""

    site: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that finds toys alone, whatever is installed beside our built-ins."""
        return environment(
            DDDM_DISABLE_PLUGINS=",".join(entry_points(group="dddm").names),
            PYTHONPATH=f"{self.site}:{TOYS}",
        )

    def dddm(self, *words: str | Path, cwd: Path) -> CompletedProcess[str]:
        """Run a command to its end."""
        return dddm(*words, cwd=cwd, **self.environment)

    def succeeded(self, *words: str | Path, cwd: Path) -> str:
        """What a command that must succeed prints."""
        return succeeded(self.dddm(*words, cwd=cwd))
