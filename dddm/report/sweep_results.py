"""The table of a sweep: a row for each entry, a column for each score at each step count.

Where every entry was trained with several seeds, a score is the mean over them.

It is read from the entries' run folders as they are, so entries may be run in any order, on several
machines, and again.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any, Final, final

from attrs import frozen

from dddm.errors import DataError
from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.verdicts import misleading
from dddm.interfaces.info import Measure
from dddm.recipe.model import ReportedResult
from dddm.recipe.reported import in_words
from dddm.recipe.sweep import Entry, EntryRun, Sweep
from dddm.report.history import read_history, read_run_info, run_state
from dddm.report.scores import (
    RESAMPLE,
    compare_with_paper,
    leading_measure,
    load_scores,
    tables_of,
)
from dddm.report.wording import number
from dddm.support.files import sha256_of
from dddm.support.quantities import counted, counted_steps
from dddm.training import checkpoint as checkpoints
from dddm.training.run_folder import RunFolder

UNRANKED: Final = "†"
"""Mark of a score that is not ranked: in features that trained the loss of its entry, or one that
its samples gain by collapse or copies."""


@final
@frozen(kw_only=True)
class RunResult:
    """One training of an entry, and how far it is.

    Attributes:
        folder: its run folder.
        state: `finished`, `interrupted`, `failed`, `unfinished`, `not started`, or `outdated` where
            the folder was made by another version of the recipe.
        sentence: what readers should know; empty for a finished run.
        scores: of this recipe alone.
        seconds: taken by each task.
        parameters: of the network; None until training started.
        checkpoint_sha256: of the newest checkpoint's manifest; None without a checkpoint.
    """

    run: EntryRun
    folder: RunFolder
    state: str
    sentence: str = ""
    scores: tuple[ScoreRecord, ...] = ()
    seconds: Mapping[str, float]
    parameters: int | None = None
    checkpoint_sha256: str | None = None

    @property
    def finished(self) -> bool:
        """Whether it is, with nothing to say about it."""
        return self.state == "finished" and not self.sentence

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "recipe_sha256": self.run.recipe.fingerprint,
            "folder": self.run.name,
            "state": self.state,
            "sentence": self.sentence,
            "scores": [_score_to_json(score, value=score.value) for score in self.scores],
            "seconds": dict(self.seconds),
            "parameters": self.parameters,
            "checkpoint_sha256": self.checkpoint_sha256,
        }


def _score_to_json(score: ScoreRecord, **values: object) -> dict[str, Any]:
    """What the same score of several trainings shares, with their value or values."""
    names = (
        "sampler", "steps", "evaluations", "images", "reference_images", "trained_the_loss",
    )  # fmt: skip
    shared = {name: getattr(score, name) for name in names}
    return {"measure": score.measure.name, "name": score.name, **values, **shared}


@final
@frozen(kw_only=True)
class EntryScore:
    """One score of an entry: of its only training, or of those training seeds that have it.

    Attributes:
        by_seed: at least one, by training seed; the key is None in a sweep without.
        seeds: how many trainings the entry has.
        misleading: whether samples of one of them gain by collapse or copies.
    """

    by_seed: Mapping[int | None, ScoreRecord]
    seeds: int
    misleading: bool = False

    @property
    def first(self) -> ScoreRecord:
        """One of them, for what all of them share."""
        return next(iter(self.by_seed.values()))

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(record.value for record in self.by_seed.values())

    @property
    def value(self) -> float:
        """Their mean."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over training seeds, with divisor n − 1; None for one of several.

        In a sweep without training seeds that over the seeds of samples, if there is one.
        """
        if None in self.by_seed:
            return self.first.deviation
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def ranks(self) -> bool:
        """Whether it is compared with other entries'."""
        return not self.misleading and not self.trained_the_loss

    @property
    def trained_the_loss(self) -> bool:
        """Whether some of them are in features that trained the loss."""
        return any(record.trained_the_loss for record in self.by_seed.values())

    @property
    def seeds_counted(self) -> str:
        """`2 of 3 seeds`; empty where none is missing."""
        missing = len(self.by_seed) < self.seeds
        return f"{len(self.by_seed)} of {counted(self.seeds, 'seed')}" if missing else ""

    def to_json(self) -> dict[str, Any]:
        """The mean with its single values, as plain values."""
        return _score_to_json(
            self.first,
            value=self.value,
            deviation=self.deviation,
            values={str(seed): record.value for seed, record in self.by_seed.items()},
        )


@final
@frozen(kw_only=True)
class EntryResult:
    """One entry: a row of the table.

    Attributes:
        runs: one for each training seed; a single one in a sweep without.
    """

    entry: Entry
    runs: tuple[RunResult, ...]

    @property
    def name(self) -> str:
        """Of the entry."""
        return self.entry.name

    @property
    def seeded(self) -> bool:
        """Whether there are training seeds."""
        return self.runs[0].run.seed is not None

    @property
    def scores(self) -> tuple[EntryScore, ...]:
        """Each score at each number of steps, in the order in which runs first have them."""
        found: dict[tuple[str, str, int], dict[int | None, ScoreRecord]] = {}
        for one in self.runs:
            for score in one.scores:
                found.setdefault(_key(score), {}).setdefault(one.run.seed, score)
        gained = {_key(score) for one in self.runs for score in misleading(one.scores)}
        return tuple(
            EntryScore(by_seed=each, seeds=len(self.runs), misleading=key in gained)
            for key, each in found.items()
        )

    @property
    def state(self) -> str:
        """That of all runs; else `failed` or `outdated`, if one is, and otherwise `unfinished`."""
        states = {one.state for one in self.runs}
        if len(states) == 1:
            return states.pop()
        return next((state for state in ("failed", "outdated") if state in states), "unfinished")

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Runs that are not finished, each with a sentence; the entry, where all have the same."""
        notes = tuple(
            (one.run.name, one.sentence or f"{one.state}.".capitalize())
            for one in self.runs
            if not one.finished
        )
        sentences = {sentence for _, sentence in notes}
        if len(notes) == len(self.runs) and len(sentences) == 1:
            return ((self.name, sentences.pop()),)
        return notes

    @property
    def seconds(self) -> dict[str, float]:
        """Taken by each task: the mean over those runs that know it."""
        tasks = dict.fromkeys(task for one in self.runs for task in one.seconds)
        return {
            task: fmean(one.seconds[task] for one in self.runs if task in one.seconds)
            for task in tasks
        }

    @property
    def parameters(self) -> int | None:
        """Of the network; None until training started."""
        return next((one.parameters for one in self.runs if one.parameters is not None), None)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        facts = {"name": self.name, "changes": self.entry.changes}
        if not self.seeded:
            return facts | self.runs[0].to_json()
        return facts | {
            "state": self.state,
            "scores": [score.to_json() for score in self.scores],
            "seconds": self.seconds,
            "parameters": self.parameters,
            "runs": [{"seed": one.run.seed} | one.to_json() for one in self.runs],
        }


@final
@frozen(kw_only=True)
class Column:
    """One score of one sampler at one step count, of every entry.

    Attributes:
        title: such as `fd`, with features and image count where entries differ in these.
        scores: one for each entry; None where it has no such score.
        reported: what the paper reports of each entry, where it can be compared; else empty.
    """

    title: str
    scores: tuple[EntryScore | None, ...]
    reported: tuple[str, ...]

    @property
    def first(self) -> ScoreRecord:
        """A score, for what all of them share."""
        return next(score for score in self.scores if score is not None).first

    @property
    def measure(self) -> Measure:
        """What they are values of."""
        return self.first.measure

    @property
    def name(self) -> str:
        """`fd@fixed-time-10`."""
        return f"{self.title}@{self.first.sampler}-{self.first.steps}"

    @property
    def counted_steps(self) -> str:
        """`5 steps (9 evaluations)`."""
        return counted_steps(self.first.steps, self.first.evaluations)

    @property
    def deviations(self) -> tuple[float | None, ...]:
        """Over seeds, one for each entry."""
        return tuple(None if score is None else score.deviation for score in self.scores)

    @property
    def best(self) -> float | None:
        """The best value that ranks, where two entries or more have one and they differ."""
        values = [score.value for score in self.scores if score is not None and score.ranks]
        return self.measure.best(values) if len(values) > 1 else None

    @property
    def floor(self) -> float | None:
        """What a resample of the training images reaches; None where that is not known."""
        floors = [score.first.floor(RESAMPLE) for score in self.scores if score is not None]
        values = [floor.value for floor in floors if floor is not None]
        return median(values) if values else None

    def is_best(self, row: int) -> bool:
        """Whether an entry has the best score, or one that is shown by the same figures."""
        score, best = self.scores[row], self.best
        if score is None or best is None or not score.ranks:
            return False
        return number(score.value) == number(best)


@final
@frozen(kw_only=True)
class SweepTable:
    """All entries of a sweep with their scores.

    Attributes:
        name: of the sweep.
        rows: one for each entry.
        columns: in the order in which entries first have them, those of one score together.
        paper: what the paper reports of the whole sweep, in sentences.
        training_seeds: with each of which every entry is trained; empty without.
    """

    name: str
    rows: tuple[EntryResult, ...]
    columns: tuple[Column, ...]
    training_seeds: tuple[int, ...] = ()
    paper: tuple[str, ...] = ()

    @property
    def by_score(self) -> dict[str, list[Column]]:
        """Columns by the scores' full names, such as `fd-pixels@70`."""
        groups: dict[str, list[Column]] = {}
        for column in self.columns:
            groups.setdefault(column.first.name, []).append(column)
        return groups

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What the columns hold, each once."""
        return tuple({column.measure.name: column.measure for column in self.columns}.values())

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Entries and runs that are not finished, those of one sentence together."""
        names: dict[str, list[str]] = {}
        for row in self.rows:
            for name, sentence in row.notes:
                names.setdefault(sentence, []).append(name)
        return tuple((", ".join(every), sentence) for sentence, every in names.items())

    @property
    def unranked(self) -> tuple[str, ...]:
        """What is marked by `UNRANKED` and why, a sentence for each kind of features."""
        names: dict[str, dict[str, None]] = {}
        gained: dict[str, dict[str, None]] = {}
        for row in self.rows:
            for score in row.scores:
                if score.trained_the_loss:
                    names.setdefault(score.first.features, {})[row.name] = None
                if score.misleading:
                    gained.setdefault(score.first.measure.words.lower(), {})[row.name] = None
        return (
            *(
                f"{UNRANKED}: not ranked: the loss of {', '.join(entries)} was computed in the "
                f"features {features}, so that training fits what these scores measure."
                for features, entries in names.items()
            ),
            *(
                f"{UNRANKED}: not ranked: samples of {', '.join(entries)} collapse or are copies, "
                f"by which they gain in {words}."
                for words, entries in gained.items()
            ),
        )

    @property
    def ranking(self) -> tuple[str, ...]:
        """Entries in the order of the leading measure: `fd-pixels@70, steps, 1 step: a < b`.

        One sentence for each score and sampler that two entries or more have, at its fewest network
        evaluations.  Entries within one standard deviation of their difference over seeds are `≈`.
        """
        leading = leading_measure(s.first for row in self.rows for s in row.scores)
        first: dict[tuple[str, str], Column] = {}
        for column in sorted(self.columns, key=lambda each: each.first.evaluations):
            if column.measure == leading and column.best is not None:
                first.setdefault((column.first.name, column.first.sampler), column)
        return tuple(self._order(column) for column in first.values())

    def _order(self, column: Column) -> str:
        more = column.measure.better == "more"
        found = [
            (score.value, score.deviation, row.name)
            for row, score in zip(self.rows, column.scores, strict=True)
            if score is not None and score.ranks
        ]
        found.sort(key=lambda each: each[0], reverse=more)
        words = [f"{found[0][2]} {number(found[0][0])}"]
        for (before, spread, _), (value, other, name) in itertools.pairwise(found):
            alike = (
                spread is not None
                and other is not None
                and abs(value - before) <= math.hypot(spread, other)
            )
            words.append(f"{'≈' if alike else '>' if more else '<'} {name} {number(value)}")
        score = column.first
        one_seed = all(deviation is None for deviation in column.deviations)
        return (
            f"{score.name}, {score.sampler}, {column.counted_steps}: {' '.join(words)}"
            f"{'; one seed, so close values cannot be told apart' if one_seed else ''}."
        )


def gather_sweep(
    sweep: Sweep, *, folder: Path, failures: Mapping[str, str] | None = None
) -> SweepTable:
    """All entries, in the order of the recipe, as the sweep's folder has them.

    Args:
        folder: of the sweep; run folders are in it, under the runs' names.
        failures: what went wrong just now, by run.
    """
    failures = failures or {}
    results = [
        EntryResult(
            entry=entry,
            runs=tuple(
                _result(run, RunFolder(folder / run.name), failure=failures.get(run.name))
                for run in entry.runs
            ),
        )
        for entry in sweep.entries
    ]
    return table_of(
        sweep.base.name, results, paper=sweep.base.reported, training_seeds=sweep.training_seeds
    )


def _result(run: EntryRun, folder: RunFolder, *, failure: str | None) -> RunResult:
    def result(state: str, sentence: str = "", **more: Any) -> RunResult:
        return RunResult(run=run, folder=folder, state=state, sentence=sentence,
                         **({"seconds": {}} | more))  # fmt: skip

    if not folder.about.is_file():
        return result("not started") if failure is None else result("failed", failure)
    try:
        about = folder.read_about()
    except DataError as error:
        return result("failed", f"{error.what}.")
    if about.get("recipe_sha256") != run.recipe.fingerprint:
        return result(
            "outdated", "its folder was made by another version of the recipe; run it again"
        )
    scores: tuple[ScoreRecord, ...] = ()
    damage = ""
    # Scores that were measured by other settings are not those of the entry.
    if about.get("scored") == run.recipe.tables.get("evaluate"):
        scores, damage = load_scores(folder.scores)
    history = read_history(folder.events)
    state = run_state(run.recipe, folder=folder, history=history, has_scores=bool(scores))
    manifests = (
        path / "manifest.json" for path in checkpoints.list_checkpoints(folder.checkpoints)
    )
    newest = next((path for path in manifests if path.is_file()), None)
    return result(
        state.word if failure is None else "failed",
        failure or damage or state.sentence,
        scores=scores,
        seconds=read_run_info(folder).seconds,
        parameters=history.whole("parameters"),
        checkpoint_sha256=None if newest is None else sha256_of(newest),
    )


def table_of(
    name: str,
    results: Sequence[EntryResult],
    *,
    paper: Iterable[ReportedResult] = (),
    training_seeds: tuple[int, ...] = (),
) -> SweepTable:
    """The table of a sweep called `name`, of which the paper reports `paper`."""
    scores = [score.first for result in results for score in result.scores]
    names = list(dict.fromkeys(score.name for score in scores))
    keys = sorted(dict.fromkeys(map(_key, scores)), key=lambda key: names.index(key[0]))
    words = {score.measure.name: score.measure.words for score in scores}
    return SweepTable(
        name=name,
        rows=tuple(results),
        columns=tuple(_column(key, results) for key in keys),
        paper=tuple(in_words(result, words=words) for result in paper),
        training_seeds=training_seeds,
    )


def _key(score: ScoreRecord) -> tuple[str, str, int]:
    return (score.name, score.sampler, score.steps)


def _column(key: tuple[str, str, int], results: Sequence[EntryResult]) -> Column:
    found = [next((s for s in result.scores if _key(s.first) == key), None) for result in results]
    measure = next(score for score in found if score is not None).first.measure.name
    records = [score.first for result in results for score in result.scores]
    alike = {record.name for record in records if record.measure.name == measure}
    return Column(
        title=measure if len(alike) == 1 else key[0],
        scores=tuple(found),
        reported=tuple(map(_reported, results, found)),
    )


def _reported(result: EntryResult, score: EntryScore | None) -> str:
    """What the paper reports of this very score."""
    if score is None:
        return ""
    (table,), _ = compare_with_paper(result.entry.recipe.reported, tables_of([score.first]))
    return (
        table.paper.shown(score.first) if table.paper is not None and table.paper.comparable else ""
    )
