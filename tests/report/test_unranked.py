"""What must not be ranked is marked wherever it is shown, and never the best.

That is a score in features that trained the loss, and one that samples gain by collapse.
"""

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from attrs import evolve
from measures import measure_of
from report_runs import make_scores
from rich.console import Console
from sample_folders import write_samples
from sweep_folders import finish, make_sweep

from dddm.cli.score_table import comparison_table
from dddm.cli.sweep_table import rich_table
from dddm.evaluate.compare import compare
from dddm.evaluate.record import ScoreRecord
from dddm.generate.storage import Samples
from dddm.report.scores import tables_of
from dddm.report.side_by_side import evaluation_charts, evaluation_tables, strips
from dddm.report.sweep_page import bar_charts, explanation, sweep_page, to_markdown
from dddm.report.sweep_results import SweepTable, gather_sweep

SCORES = {"far": {1: 9.0, 2: 8.0}, "slow_1": {1: 1.0, 2: 1.0}, "last": {1: 5.0, 2: 2.0}}
"""The best everywhere is the entry `slow_1`, whose loss was computed in the features."""
SENTENCE = "not ranked: the loss of slow_1 was computed in the features pixels"


@pytest.fixture
def table(tmp_path: Path) -> SweepTable:
    sweep = make_sweep(tmp_path)
    for entry in sweep.entries:
        run = finish(entry, tmp_path / "run", fd=SCORES[entry.name])
        if entry.name == "slow_1":
            records = json.loads(run.scores.read_text())
            for record in records:
                record["provenance"] = {"trained_the_loss": True}
            run.scores.write_text(json.dumps(records))
        for steps in (1, 2):
            images = torch.zeros(30, 1, 4, 4, dtype=torch.uint8)
            facts = {"sampler": "steps", "steps": steps, "images": 30, "evaluations": steps}
            place = run.samples / f"steps-{steps}"
            (place / "manifest.json").unlink()
            place.rmdir()
            write_samples(place, Samples(images=images, label=None, facts=facts))
    return gather_sweep(sweep, folder=tmp_path / "run")


def test_the_best_is_among_the_others(table: SweepTable) -> None:
    for column in table.columns:
        if column.measure.name == "fd":
            assert column.best == {1: 5.0, 2: 2.0}[column.first.steps]
            assert [column.is_best(k) for k in range(3)] == [False, False, True]
    (sentence,) = table.ranking
    assert ": last 5.00 < far 9.00" in sentence
    assert "slow_1" not in sentence


def test_it_is_marked_and_explained(table: SweepTable) -> None:
    """In Markdown, on the terminal, on the page and in JSON."""
    (row,) = (line for line in to_markdown(table).splitlines() if line.startswith("| slow_1"))
    assert row.count("†") == 4
    assert "**" not in row
    assert to_markdown(table).count("†") == 5
    assert any(SENTENCE in sentence for sentence in explanation(table))
    out = io.StringIO()
    Console(file=out, width=200).print(rich_table(table))
    (line,) = (line for line in out.getvalue().splitlines() if line.startswith(" slow_1"))
    assert line.count("†") == 4
    page = sweep_page(table)
    assert SENTENCE in page
    cells = re.findall(r"<td[^>]*><data[^>]*>1\.00</data>[^<]*</td>", page)
    assert len(cells) == 4
    assert all("†" in cell and 'class="best"' not in cell for cell in cells)
    (plain,) = (one.to_json() for one in table.rows if one.name == "slow_1")
    assert all(score["trained_the_loss"] for score in plain["scores"])


def test_its_entry_comes_last(table: SweepTable) -> None:
    """In the table by network evaluations and among the samples; its line is marked."""
    (found,) = evaluation_tables(table)
    assert [entry for entry, _, _ in found.rows] == ["last", "far", "slow_1"]
    assert found.best == (5.0, 2.0)
    assert list(dict.fromkeys(strip.name for strip in strips(table))) == ["last", "far", "slow_1"]
    assert [("†" in strip.caption) for strip in strips(table)] == [False] * 4 + [True]
    (chart,) = evaluation_charts(table)
    assert chart.names == ("far", "slow_1 †", "last")


def test_where_one_alone_ranks_there_is_no_best(table: SweepTable) -> None:
    two = evolve(
        table,
        columns=tuple(evolve(one, scores=(None, *one.scores[1:])) for one in table.columns),
    )
    assert [column.best for column in two.columns] == [None] * len(two.columns)
    assert two.ranking == ()
    assert bar_charts(two) == []


def test_no_best_of_a_run() -> None:
    """Step counts of one run are not ordered by it either."""
    table = tables_of(make_scores())[0]
    assert table.best is not None
    marked = tuple(
        evolve(one, provenance={**one.provenance, "trained_the_loss": True}) for one in table.scores
    )
    assert evolve(table, scores=marked).best is None


def bold_rows(first: Sequence[ScoreRecord], second: Sequence[ScoreRecord]) -> list[bool]:
    out = io.StringIO()
    shown = comparison_table(compare(first, second), names=("a", "b"))
    Console(file=out, width=120, force_terminal=True).print(shown)
    rows = [line for line in out.getvalue().splitlines() if first[0].sampler in line]
    return ["\x1b[1m" in row for row in rows]


def test_no_better_one_of_two_runs() -> None:
    """Where either is in the features of its loss."""
    one = make_scores()[0]
    less = evolve(one, value=one.value / 2)
    marked = evolve(less, provenance={**one.provenance, "trained_the_loss": True})
    assert bold_rows([one], [less]) == [True]
    assert bold_rows([one], [marked]) == bold_rows([marked], [one]) == [False]


def collapsed(score: ScoreRecord, *, recall: float) -> list[ScoreRecord]:
    """Precision 1 of the same samples, and their recall."""
    return [
        evolve(score, measure=measure_of(name, better="more"), name=f"{name}-x@30", value=value)
        for name, value in (("precision", 1.0), ("recall", recall))
    ]


def test_no_better_one_where_samples_collapse() -> None:
    """Of precision; recall, by which the other run is better, stays in bold."""
    one = make_scores()[0]
    good = [evolve(score, value=0.9) for score in collapsed(one, recall=0.9)]
    assert bold_rows(good, collapsed(one, recall=0.3)) == [True, True]
    for first, second in ((good, bad := collapsed(one, recall=0.0)), (bad, good)):
        assert bold_rows(first, second) == [False, True]


def test_no_best_of_a_run_by_collapse() -> None:
    """Of two sets that are left the better one is the best, and only it."""
    one = make_scores()[0]
    sets = [evolve(one, steps=steps) for steps in (1, 2, 3)]
    scores = [
        score
        for a_set, recall in zip(sets, (0.0, 0.5, 0.5), strict=True)
        for score in collapsed(a_set, recall=recall)
    ]
    scores[4] = evolve(scores[4], value=0.7)
    precision, recall = tables_of(scores)
    assert [precision.is_best(score) for score in precision.scores] == [False, True, False]
    assert [recall.is_best(score) for score in recall.scores] == [False, True, True]


def test_a_sweep_with_a_collapsed_entry(tmp_path: Path) -> None:
    """Its precision is marked and explained, and the best is among the others."""
    sweep = make_sweep(tmp_path)
    values = {"far": (0.8, 0.5), "slow_1": (1.0, 0.0), "last": (0.9, 0.4)}
    for entry in sweep.entries:
        run = finish(entry, tmp_path / "run", fd={1: 1.0})
        (record, *_) = json.loads(run.scores.read_text())
        run.scores.write_text(
            json.dumps(
                [
                    {
                        **record,
                        "name": f"{name}-x@30",
                        "value": value,
                        "measure": {
                            **record["measure"],
                            "name": name,
                            "words": name,
                            "better": "more",
                        },
                    }
                    for name, value in zip(("precision", "recall"), values[entry.name], strict=True)
                ]
            )
        )
    table = gather_sweep(sweep, folder=tmp_path / "run")
    precision, recall = table.columns
    rows = [row.name for row in table.rows]
    assert [rows[k] for k in range(3) if precision.is_best(k)] == ["last"]
    assert [rows[k] for k in range(3) if recall.is_best(k)] == ["far"]
    (line,) = (line for line in to_markdown(table).splitlines() if line.startswith("| slow_1"))
    assert "1.00 †" in line
    assert "**" not in line
    assert line.count("†") == 1
    (sentence,) = table.unranked
    assert sentence.startswith("†: not ranked: samples of slow_1 collapse or are copies")
    assert sentence.endswith("gain in precision.")
    assert sentence in sweep_page(table)
