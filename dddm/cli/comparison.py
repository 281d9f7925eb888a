"""`dddm evaluate --compare A B`: the scores of two runs side by side, where they are comparable."""

from pathlib import Path

import click

from dddm.cli.common import show_json
from dddm.errors import DataError
from dddm.evaluate.compare import Comparison, Pair, compare
from dddm.evaluate.record import ScoreRecord, read_scores
from dddm.train.run_folder import find_run


def show_comparison(runs: tuple[Path, Path], *, as_json: bool) -> None:
    """Print what two runs' `scores.json` say of the same samplers and step counts.

    Raises:
        DataError: if a run has no scores, or none of them can be compared with the other's.
    """
    found = compare(*(_scores_of(run) for run in runs))
    if not any(not pair.why_not for pair in found.pairs):
        raise DataError(
            "no score of these runs can be compared: " + _first_reason(found),
            where=f"{runs[0]} and {runs[1]}",
            remedy="score both with the same features, scores, images and number of samples",
        )
    if as_json:
        show_json([_plain(pair) for pair in found.pairs])
        return
    from rich.console import Console

    from dddm.cli.score_table import comparison_table

    console = Console()
    console.print(comparison_table(found, names=(str(runs[0]), str(runs[1]))))
    for pair in found.pairs:
        for why in pair.why_not:
            click.echo(f"not compared: {_called(pair.one)}: {why}", err=True)
    for number, score in found.alone:
        click.echo(f"only in {runs[number]}: {_called(score)}", err=True)


def _scores_of(run: Path) -> tuple[ScoreRecord, ...]:
    folder = find_run(str(run))
    scores = read_scores(folder.scores)
    if not scores:
        raise DataError(
            "this run has no scores",
            where=str(folder.scores),
            remedy=f"measure them first: dddm evaluate {folder.path}",
        )
    return scores


def _first_reason(found: Comparison) -> str:
    for pair in found.pairs:
        return f"{_called(pair.one)}: {'; '.join(pair.why_not)}"
    return "they have no score, sampler and number of steps in common"


def _called(score: ScoreRecord) -> str:
    return f"{score.measure.name} of {score.sampler} at {score.steps} steps"


def _plain(pair: Pair) -> dict[str, object]:
    return {
        "score": pair.one.measure.name,
        "sampler": pair.one.sampler,
        "steps": pair.one.steps,
        "better": pair.one.measure.better,
        "values": None if pair.why_not else [pair.one.value, pair.other.value],
        "why_not": list(pair.why_not),
    }
