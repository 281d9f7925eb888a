"""What is known of each entry of a sweep, read anew from the entries' run folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from attrs import frozen

from dddm.errors import DataError
from dddm.evaluate.record import ScoreRecord, read_scores
from dddm.generate.stored_samples import planned_sample_folders
from dddm.recipe.sweep import Entry, Sweep
from dddm.report.run_page.facts import read_about
from dddm.report.run_page.history import read_history
from dddm.report.run_page.score_rows import refuse_unusable
from dddm.report.run_page.state import state_of
from dddm.support.files import sha256_of
from dddm.train import checkpoint as checkpoints
from dddm.train.run_folder import RunFolder


@final
@frozen(kw_only=True)
class EntryResult:
    """One entry, and how far its run is.

    Attributes:
        folder: its run folder.
        state: `finished`, `interrupted`, `failed`, `unfinished`, `not begun`, or `outdated` where
            the folder was made by another version of the recipe.
        sentence: what a reader should know; empty for a finished entry.
        scores: none unless they are of this recipe.
        seconds: taken, by task; None where nothing was.
        parameters: of the network; None until training began.
        checkpoint_sha256: of the newest checkpoint's manifest; None without a checkpoint.
    """

    entry: Entry
    folder: RunFolder
    state: str
    sentence: str = ""
    scores: tuple[ScoreRecord, ...] = ()
    seconds: Mapping[str, float]
    parameters: int | None = None
    checkpoint_sha256: str | None = None

    @property
    def name(self) -> str:
        """Of the entry."""
        return self.entry.name

    @property
    def has_report(self) -> bool:
        """Whether the entry has a page of its own by now."""
        return self.folder.report.is_file()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "name": self.name,
            "changes": self.entry.changes,
            "recipe_sha256": self.entry.recipe.fingerprint,
            "folder": self.folder.path.name,
            "state": self.state,
            "sentence": self.sentence,
            "scores": [_score(score) for score in self.scores],
            "seconds": dict(self.seconds),
            "parameters": self.parameters,
            "checkpoint_sha256": self.checkpoint_sha256,
        }


def _score(score: ScoreRecord) -> dict[str, Any]:
    names = ("name", "value", "sampler", "steps", "evaluations", "images", "reference_images")
    return {"measure": score.measure.name} | {name: getattr(score, name) for name in names}


def gather_results(
    sweep: Sweep, *, folder: Path, failures: Mapping[str, str]
) -> tuple[EntryResult, ...]:
    """All entries, in the order of the recipe, as the sweep's folder has them.

    Args:
        folder: of the sweep; each entry's run folder is in it, under the entry's name.
        failures: what went wrong just now, by entry.
    """
    return tuple(
        _result(entry, RunFolder(folder / entry.name), failure=failures.get(entry.name))
        for entry in sweep.entries
    )


def _result(entry: Entry, folder: RunFolder, *, failure: str | None) -> EntryResult:
    made_by = _made_by(folder)
    if made_by is None:
        word, sentence = ("not begun", "") if failure is None else ("failed", failure)
        return EntryResult(entry=entry, folder=folder, state=word, sentence=sentence, seconds={})
    if made_by != entry.recipe.fingerprint:
        sentence = "its folder was made by another version of the recipe; run it again"
        return EntryResult(
            entry=entry, folder=folder, state="outdated", sentence=sentence, seconds={}
        )
    scores, damage = _scores(entry, folder)
    history = read_history(folder.events)
    state = state_of(
        history,
        missing_samples=_missing_samples(entry, folder),
        missing_scores=_has_scores(entry) and not scores,
    )
    return EntryResult(
        entry=entry,
        folder=folder,
        state=state.word if failure is None else "failed",
        sentence=failure or damage or state.sentence,
        scores=scores,
        seconds=read_about(folder).seconds,
        parameters=history.parameters,
        checkpoint_sha256=_newest_checkpoint(folder),
    )


def _has_scores(entry: Entry) -> bool:
    """Whether the entry asks for scores."""
    return entry.recipe.evaluate is not None and bool(entry.recipe.sample)


def _made_by(folder: RunFolder) -> str | None:
    """Fingerprint of the recipe that last began the run; None where there is no run."""
    if not folder.about.is_file():
        return None
    try:
        contents: Any = folder.read_about()
    except (OSError, ValueError):
        return ""
    return str(contents.get("recipe_sha256", "")) if isinstance(contents, dict) else ""


def _scores(entry: Entry, folder: RunFolder) -> tuple[tuple[ScoreRecord, ...], str]:
    """Scores that were taken as the entry says, and a sentence where they cannot be read."""
    if folder.read_about().get("scored") != entry.recipe.tables.get("evaluate"):
        return (), ""
    try:
        scores = read_scores(folder.scores)
        refuse_unusable(scores, path=folder.scores)
    except (DataError, OSError) as error:
        return (), f"its scores cannot be used: {error}".replace("\n", ";")
    return scores, ""


def _missing_samples(entry: Entry, folder: RunFolder) -> int:
    """Sets of samples that are not there."""
    paths = [
        path
        for _, by_steps in planned_sample_folders(entry.recipe, folder)
        for path in by_steps.values()
    ]
    return sum(not (path / "manifest.json").is_file() for path in paths)


def _newest_checkpoint(folder: RunFolder) -> str | None:
    for path in checkpoints.list_checkpoints(folder.checkpoints):
        manifest = path / "manifest.json"
        if manifest.is_file():
            return sha256_of(manifest)
    return None
