"""The table of a sweep, whatever its entries' folders hold, in Markdown and as a page."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attrs import evolve
from measures import measure_of
from report_runs import log_events, stopped, training_events
from sweep_folders import begin, finish, make_sweep

from dddm.recipe.model import ReportedResult
from dddm.report.sweep_page import bar_charts, changes_of, explanation, sweep_page, to_markdown
from dddm.report.sweep_results import (
    EntryResult,
    RunResult,
    SweepTable,
    gather_sweep,
    table_of,
)
from dddm.support.files import sha256_of


def table(folder: Path, **failures: str) -> SweepTable:
    return gather_sweep(make_sweep(folder), folder=folder / "run", failures=failures)


def rows(folder: Path, **failures: str) -> dict[str, EntryResult]:
    return {row.name: row for row in table(folder, **failures).rows}


def runs(folder: Path, **failures: str) -> dict[str, RunResult]:
    return {row.name: row.runs[0] for row in table(folder, **failures).rows}


def three(folder: Path, *, deviation: float | None = None) -> SweepTable:
    """Three entries with scores of 9, 8 and 8.5 at one step."""
    folder.mkdir(exist_ok=True)
    for entry, value in zip(make_sweep(folder).entries, (9.0, 8.0, 8.5), strict=True):
        finish(entry, folder / "run", fd={1: value, 2: 1.0}, deviation=deviation)
    return table(folder)


def test_a_finished_entry_has_all_that_is_known_of_a_run(tmp_path: Path) -> None:
    run = finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0, 2: 5.0})
    found = runs(tmp_path)["far"]
    assert (found.state, found.sentence, found.parameters) == ("finished", "", 361_234)
    assert found.checkpoint_sha256 == sha256_of(run.checkpoints / "step-00000012/manifest.json")
    values = json.loads(json.dumps(rows(tmp_path)["far"].to_json()))
    assert values["changes"] == {"metric": {"use": "far"}}
    assert values["seconds"]["train"] == 61.5
    assert [score["value"] for score in values["scores"]] == [9.0, 2.5, 5.0, 2.5]


def test_states_follow_folder_and_log(tmp_path: Path) -> None:
    """A failure just now comes first."""
    assert {row.state for row in rows(tmp_path).values()} == {"not started"}
    assert rows(tmp_path, far="it broke")["far"].state == "failed"
    for entry, reason in zip(
        make_sweep(tmp_path).entries, ("interrupted", "failed", None), strict=True
    ):
        run = begin(entry, tmp_path / "run")
        log_events(run, training_events(run, steps=4))
        if reason is not None:
            log_events(run, [stopped(reason, step=4, message="a loss is not finite")])
    found = runs(tmp_path, last="memory ran out")
    assert [row.state for row in found.values()] == ["interrupted", "failed", "failed"]
    assert "a loss is not finite" in found["slow_1"].sentence
    assert found["last"].sentence == "memory ran out"
    assert rows(tmp_path)["last"].state == "unfinished"


def test_missing_samples_or_scores_of_other_settings_are_not_finished(tmp_path: Path) -> None:
    run = finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0})
    (run.samples / "steps-2/manifest.json").unlink()
    assert rows(tmp_path)["far"].state == "unfinished"
    (run.samples / "steps-2/manifest.json").write_text("{}")
    run.note_about(scored={"features": "others"})
    found = runs(tmp_path)["far"]
    assert (found.state, found.scores) == ("unfinished", ())
    run.note_about(recipe_sha256="0" * 64)
    found = runs(tmp_path)["far"]
    assert (found.state, found.scores) == ("outdated", ())


@pytest.mark.parametrize("name", ["run.json", "scores.json", "events.jsonl"])
@pytest.mark.parametrize("contents", [b"", b"[", b"[1]", b"\xff\xfe", b'{"a": 1}\n'])
def test_damaged_files_cost_only_themselves(tmp_path: Path, name: str, contents: bytes) -> None:
    far, slow, _ = make_sweep(tmp_path).entries
    run = finish(far, tmp_path / "run", fd={1: 9.0})
    finish(slow, tmp_path / "run", fd={1: 8.0})
    (run.path / name).write_bytes(contents)
    found = runs(tmp_path)
    assert found["slow_1"].state == "finished"
    assert found["far"].state != "finished" or name == "scores.json"
    assert found["far"].sentence


def test_a_column_for_each_score_at_each_step_count(tmp_path: Path) -> None:
    """One score alone is no best, and `nearest` has none: few copies and many are both bad."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 2: 5.0, 3: 4.0})
    finish(slow, tmp_path / "run", fd={1: 8.0, 2: 6.0})
    columns = table(tmp_path).columns
    names = [f"{measure}@steps-{steps}" for measure in ("fd", "nearest") for steps in (1, 2, 3)]
    assert [column.name for column in columns] == names
    values = [[score and score.value for score in column.scores] for column in columns]
    assert (values[0], values[2]) == ([9.0, 8.0, None], [4.0, None, None])
    assert [column.is_best(1) for column in columns[:2]] == [True, False]
    assert [column.best for column in columns] == [8.0, 5.0, None, None, None, None]
    assert columns[0].floor == 0.5


def test_an_equal_budget_is_said(tmp_path: Path) -> None:
    for entry in make_sweep(tmp_path).entries:
        finish(entry, tmp_path / "run", fd={1: 8.0})
    found = table(tmp_path)
    assert not any("trained with" in sentence for sentence in explanation(found))

    def budgeted(row: EntryResult, flops: float) -> EntryResult:
        train = evolve(row.entry.recipe.train, epochs=None, training_flops=flops)
        recipe = evolve(row.entry.recipe, train=train)
        return evolve(row, entry=evolve(row.entry, recipe=recipe))

    equal, unequal = (
        explanation(evolve(found, rows=tuple(budgeted(row, each) for row, each in rows)))
        for rows in (
            [(row, 2e12) for row in found.rows],
            [(row, 1e12 * k) for k, row in enumerate(found.rows, 1)],
        )
    )
    assert "Each entry was trained with 2.00 TFLOP." in equal
    assert not any("trained with" in sentence for sentence in unequal)


def test_baselines_are_said_below_the_table(tmp_path: Path) -> None:
    """Once for each score that has some."""
    for entry in make_sweep(tmp_path).entries:
        finish(entry, tmp_path / "run", fd={1: 8.0, 10: 4.0})
    said = [one for one in explanation(table(tmp_path)) if "Without a network" in one]
    assert said == ["Without a network, fd-pixels@8: blurred-2 71.2."]


def test_entries_with_the_same_figures_are_both_best(tmp_path: Path) -> None:
    far, slow, last = make_sweep(tmp_path).entries
    for entry, value in ((far, 8.0041), (slow, 8.0012), (last, 8.01)):
        finish(entry, tmp_path / "run", fd={1: value})
    column = table(tmp_path).columns[0]
    assert [column.is_best(k) for k in range(3)] == [True, True, False]


def test_scores_over_other_counts_are_never_compared(tmp_path: Path) -> None:
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0})
    finish(slow, tmp_path / "run", fd={1: 8.0}, images=16)
    columns = [column for column in table(tmp_path).columns if column.title.startswith("fd")]
    names = [column.name for column in columns]
    assert names == ["fd-pixels@8@steps-1", "fd-pixels@16@steps-1"]
    assert all(column.best is None for column in columns)


def test_what_the_paper_reports_stands_beside_scores_measured_alike(tmp_path: Path) -> None:
    far, *others = three(tmp_path).rows
    for images, shown in ((8, ("2.86", "", "")), (50_000, ("", "", ""))):
        result = ReportedResult(source="table 3", score="fd", sampler="steps", images=images,
                                steps=(1,), values=(2.86,))  # fmt: skip
        recipe = evolve(far.entry.recipe, reported=(result,))
        row = evolve(far, entry=evolve(far.entry, recipe=recipe))
        found = table_of("toy", [row, *others])
        assert [column.reported for column in found.columns[:2]] == [shown, ("", "", "")]
        assert ("(paper 2.86)" in to_markdown(found)) == any(shown)
        assert ("paper 2.86" in sweep_page(found)) == any(shown)


def test_the_ranking_begins_with_the_best(tmp_path: Path) -> None:
    """At the fewest evaluations alone, below what the paper says."""
    found = three(tmp_path)
    one_seed = "one seed, so close values cannot be told apart"
    ranking = "fd-pixels@8, steps, 1 step: slow_1 8.00 < last 8.50 < far 9.00"
    assert found.ranking == (f"{ranking}; {one_seed}.",)
    claim = ReportedResult(source="figure 2a", says="slow < far")
    text = to_markdown(table_of("toy", found.rows, paper=[claim]))
    assert text.index("The paper, figure 2a: slow < far.") < text.index(f"Here, {ranking}")


def test_what_lies_within_the_deviation_is_not_ordered(tmp_path: Path) -> None:
    """0.5 apart with deviations of 0.4 each is as good as equal; with 0.3 each it is not."""
    wide, narrow = (three(tmp_path / str(d), deviation=d) for d in (0.4, 0.3))
    assert wide.ranking[0].endswith(": slow_1 8.00 ≈ last 8.50 ≈ far 9.00.")
    assert narrow.ranking[0].endswith(": slow_1 8.00 < last 8.50 < far 9.00.")
    assert "**8.00** ± 0.30" in to_markdown(narrow)
    assert "±: standard deviation" in to_markdown(narrow)


def test_where_more_is_better_the_most_comes_first(tmp_path: Path) -> None:
    recall = measure_of("recall", "more")
    found = [
        evolve(row, runs=(evolve(run, scores=(evolve(run.scores[0], measure=recall),)),))
        for row in three(tmp_path).rows
        for run in row.runs
    ]
    (ranking,) = table_of("toy", found).ranking
    assert "far 9.00 > last 8.50 > slow_1 8.00" in ranking


def test_markdown_has_the_best_in_bold_and_dashes_for_gaps(tmp_path: Path) -> None:
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 2: 5.0})
    finish(slow, tmp_path / "run", fd={1: 8.0, 2: 6.0})
    lines = to_markdown(table(tmp_path, last="No|.")).splitlines()
    assert lines[0] == "# toy"
    assert lines[2].startswith("| entry | fd@steps-1 | fd@steps-2 | nearest@steps-1 |")
    assert lines[4] == "| far | 9.00 | **5.00** | 2.50 | 2.50 | 1 min 02 s | 361,234 |"
    assert lines[5].startswith("| slow_1 | **8.00** | 6.00 |")
    assert lines[6] == "| last | – | – | – | – | – | – |"
    assert {line.count("|") for line in lines[2:7]} == {lines[2].count("|")}
    assert "fd: Fréchet distance; less is better" in "\n".join(lines)
    assert lines[-1] == "- `last`: No|."


def test_without_scores_there_is_a_row_for_each_entry(tmp_path: Path) -> None:
    """Nor is there an order or a chart where one entry alone has scores."""
    empty = table(tmp_path)
    assert (len(empty.rows), empty.columns, empty.ranking) == (3, (), ())
    assert empty.notes == (("far, slow_1, last", "Not started."),)
    assert "There are no scores yet." in to_markdown(empty)
    assert "<td>far</td>" in sweep_page(empty)
    finish(make_sweep(tmp_path).entries[0], tmp_path / "run", fd={1: 9.0})
    assert table(tmp_path).ranking == ()
    assert bar_charts(table(tmp_path)) == []


def test_the_page_has_the_table_bars_and_links_to_reports(tmp_path: Path) -> None:
    """Links lead to entries' reports that are there, and nowhere else; nothing is fetched."""
    far, slow, _ = make_sweep(tmp_path).entries
    finish(far, tmp_path / "run", fd={1: 9.0, 2: 0.0, 3: 4.0})
    finish(slow, tmp_path / "run", fd={1: 8.0, 2: 6.0}, deviation=2.0)
    text = sweep_page(table(tmp_path))
    assert re.findall(r'href="([^"#]+)"', text) == ["far/report.html", "slow_1/report.html"]
    assert text.count('<td class="best">') == 4  # by evaluations, and by steps
    _, *panels = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert [re.findall(r">(\d steps?)<", panel) for panel in panels] == [["1 step"], ["2 steps"]]
    assert all('class="floor"' in panel and 'class="error ink"' in panel for panel in panels)
    assert "Error bars: one standard deviation" in text
    assert "metric.use=&#34;far&#34;" in text
    assert "sample.0.steps=[1, 2]" in text
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    HTMLParser().feed(text)


def test_what_comes_from_files_is_escaped(tmp_path: Path) -> None:
    text = sweep_page(table(tmp_path, far="<script>alert(1)</script>"))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_changes_are_lines_as_set_takes_them(tmp_path: Path) -> None:
    """Tables are dotted, arrays of tables counted; an entry may change nothing."""
    row = table(tmp_path).rows[1]
    assert changes_of(row) == [
        "seed=4",
        'sample.0.use="steps"',
        "sample.0.size=7",
        "sample.0.steps=[1, 2]",
        "sample.0.images=8",
    ]
    assert changes_of(evolve(row, entry=evolve(row.entry, changes={"metric": {}}))) == []


def seeded(folder: Path) -> SweepTable:
    """Three seeds of one entry score 8, 9 and 13, two of another 9 and 10, one of the last 1.

    Each score is a mean over sets of samples that deviate by 0.01, which is not the deviation over
    training seeds.
    """
    folder.mkdir(exist_ok=True)
    sweep = make_sweep(folder, training_seeds=(0, 1, 2))
    for entry, values in zip(sweep.entries, ((8.0, 9.0, 13.0), (9.0, 10.0), (1.0,)), strict=True):
        for run, value in zip(entry.runs, values, strict=False):
            finish(run, folder / "run", fd={1: value}, deviation=0.01)
    return gather_sweep(sweep, folder=folder / "run")


def test_a_row_is_the_mean_over_training_seeds(tmp_path: Path) -> None:
    """(8 + 9 + 13)/3 = 10, deviation √((4 + 1 + 9)/2); (9 + 10)/2 = 9.5, deviation √0.5."""
    found = seeded(tmp_path)
    column = found.columns[0]
    far, slow, last = column.scores
    assert far is not None
    assert slow is not None
    assert last is not None
    assert (far.value, slow.value, last.value) == (10.0, 9.5, 1.0)
    assert (far.deviation, slow.deviation) == pytest.approx((7**0.5, 0.5**0.5))
    assert last.deviation is None
    assert (far.seeds_counted, slow.seeds_counted) == ("", "2 of 3 seeds")
    assert last.seeds_counted == "1 of 3 seeds"
    assert [row.state for row in found.rows] == ["finished", "unfinished", "unfinished"]
    assert found.notes == (("slow_1/seed-2, last/seed-1, last/seed-2", "Not started."),)
    assert found.ranking == ("fd-pixels@8, steps, 1 step: last 1.00 < slow_1 9.50 ≈ far 10.0.",)


def test_what_is_shown_says_how_many_training_seeds(tmp_path: Path) -> None:
    found = seeded(tmp_path)
    lines = to_markdown(found).splitlines()
    assert lines[4].startswith("| far | 10.0 ± 2.6 |")
    assert lines[5].startswith("| slow_1 | 9.50 ± 0.71 (2 of 3 seeds) |")
    assert lines[6].startswith("| last | **1.00** (1 of 3 seeds) |")
    assert "±: standard deviation over 3 training seeds" in "\n".join(lines)
    page = sweep_page(found)
    assert "±: standard deviation over 3 training seeds" in page
    assert "(2 of 3 seeds)" in page
    assert re.findall(r'href="(far/[^"#]+)"', page) == [
        f"far/seed-{seed}/report.html" for seed in (0, 1, 2)
    ]


def test_single_values_are_in_json(tmp_path: Path) -> None:
    _, slow, _ = (row.to_json() for row in seeded(tmp_path).rows)
    score = next(one for one in slow["scores"] if one["measure"] == "fd")
    assert (score["value"], score["values"]) == (9.5, {"0": 9.0, "1": 10.0})
    assert score["deviation"] == pytest.approx(0.5**0.5)
    assert [(one["seed"], one["state"], one["folder"]) for one in slow["runs"]] == [
        (0, "finished", "slow_1/seed-0"),
        (1, "finished", "slow_1/seed-1"),
        (2, "not started", "slow_1/seed-2"),
    ]
    assert slow["seconds"]["train"] == 61.5
