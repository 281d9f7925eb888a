"""Where a run keeps what: the names of everything in a run folder."""

import json
from pathlib import Path
from typing import Any, final

from attrs import frozen

from dddm.support.files import atomic_write_text


@final
@frozen
class RunFolder:
    """A run folder.

    | Name | Holds |
    | --- | --- |
    | `recipe.toml` | the checked recipe with every default filled in |
    | `run.json` | name, recipe's fingerprint, versions, and seconds taken by each task |
    | `events.jsonl` | one event a line, as in `dddm.interfaces.observer` |
    | `checkpoints/step-00000900/` | one checkpoint each |
    | `best/step-00000900/` | the averaged weights that scored best during training |
    | `progress/epoch-00020.png` | sample grids drawn during training |
    | `samples/fixed-time-100/` | `samples.npz`, `grid.png` and `manifest.json` of one sampler
      at one number of steps |
    | `scores.json` | a list of scores, each with what is needed to repeat it |
    | `report.html` | the page one looks at |
    """

    path: Path

    @property
    def recipe(self) -> Path:
        """The checked recipe."""
        return self.path / "recipe.toml"

    @property
    def about(self) -> Path:
        """What made this run, and how long it took."""
        return self.path / "run.json"

    @property
    def events(self) -> Path:
        """The event log."""
        return self.path / "events.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Folder of the averaged weights that scored best during training."""
        return self.path / "best"

    @property
    def memory(self) -> Path:
        """Folder that target stores on disk may use, one within it for each field."""
        return self.path / "memory"

    @property
    def progress(self) -> Path:
        """Folder of the grids drawn during training."""
        return self.path / "progress"

    @property
    def samples(self) -> Path:
        """Folder of the samples."""
        return self.path / "samples"

    @property
    def scores(self) -> Path:
        """The scores."""
        return self.path / "scores.json"

    @property
    def report(self) -> Path:
        """The page one looks at."""
        return self.path / "report.html"

    def read_about(self) -> dict[str, Any]:
        """The contents of `run.json`; empty where there is none."""
        if not self.about.exists():
            return {}
        contents: dict[str, Any] = json.loads(self.about.read_text(encoding="utf-8"))
        return contents

    def note_about(self, **facts: Any) -> None:
        """Add facts to `run.json`."""
        text = json.dumps({**self.read_about(), **facts}, indent=2, ensure_ascii=False)
        atomic_write_text(self.about, text + "\n")
