"""A sweep on the real command line: run, stopped, resumed, with an entry that fails."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from command_line import command, environment, write_tiny

from dddm.cli.run import run
from dddm.errors import DddmError, RecipeError, TrainingFailed, UsageError
from dddm.training.event_log import read_events

ENTRY = """
[[sweep]]
name = "{0}"
metric = {{ use = "{0}" }}
"""
ENTRIES = ENTRY.format("l1") + ENTRY.format("l2")
STEPS = 6


def write_sweep(folder: Path, *changes: tuple[str, str], entries: str = ENTRIES) -> Path:
    """The tiny recipe with one epoch and a sweep."""
    path = write_tiny(folder, ("epochs = 3", "epochs = 1"), *changes)
    path.write_text(path.read_text() + entries)
    return path


def entries_of(folder: Path) -> dict[str, dict[str, Any]]:
    facts = json.loads((folder / "sweep.json").read_text())
    return {entry["name"]: entry for entry in facts["entries"]}


def steps_of(folder: Path) -> list[int]:
    return [event["step"] for event in read_events(folder / "events.jsonl", event="step-done")]


def stop_in_second_entry(cwd: Path) -> int:
    """Run the sweep, and send Ctrl-C when its second entry has begun; the exit code."""
    process = subprocess.Popen(
        command("run", "tiny.toml"),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    begun = cwd / "runs/tiny/l2/events.jsonl"
    while process.poll() is None and not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=120)


def printed_by_run(*words: str) -> str:
    """The standard output of `dddm run` in this process, which spares seconds of imports."""
    done = CliRunner().invoke(run, [*words], obj={})
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_a_stopped_sweep_resumes_the_entry_that_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--entry` runs one; Ctrl-C stops all with 75; the same command does what is left, once."""
    write_sweep(tmp_path)
    folder = tmp_path / "runs/tiny"
    monkeypatch.chdir(tmp_path)
    printed = printed_by_run("tiny.toml", "--entry", "l1")
    assert printed.splitlines()[-1] == "runs/tiny/sweep.html"
    found = entries_of(folder)
    assert (found["l1"]["state"], found["l2"]["state"]) == ("finished", "not started")
    saved = folder / f"l1/checkpoints/step-{STEPS:08d}/manifest.json"
    before = saved.stat().st_mtime_ns

    assert stop_in_second_entry(tmp_path) == 75
    found = entries_of(folder)
    assert found["l1"]["state"] == "finished"
    assert found["l2"]["state"] in {"interrupted", "unfinished"}

    printed = printed_by_run("tiny.toml")
    found = entries_of(folder)
    assert [found[name]["state"] for name in ("l1", "l2")] == ["finished", "finished"]
    assert saved.stat().st_mtime_ns == before
    for name, entry in found.items():
        assert steps_of(folder / name) == list(range(1, STEPS + 1))
        assert entry["changes"] == {"metric": {"use": name}}
        assert entry["parameters"] > 10_000
        assert entry["seconds"]["train"] > 0
        assert len(entry["checkpoint_sha256"]) == 64
        scored = {(score["measure"], score["steps"]) for score in entry["scores"]}
        assert scored == {("fd", 1), ("fd", 2), ("nearest", 1), ("nearest", 2)}
        assert name in printed
        assert f'href="{name}/report.html"' in (folder / "sweep.html").read_text()
        assert (folder / name / "report.html").is_file()
    assert "| entry | fd@fixed-time-1 | fd@fixed-time-2 |" in (folder / "sweep.md").read_text()


def test_an_entry_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is in the table and on stderr, and is the sweep's."""
    monkeypatch.chdir(tmp_path)
    fast = '[[sweep]]\nname = "fast"\nlearning_rate = { rate = 1e30 }\n'
    write_sweep(
        tmp_path, ('[evaluate]\nfeatures = "pixels"\n', ""), entries=fast + ENTRY.format("l1")
    )
    done = CliRunner().invoke(run, ["tiny.toml", "--folder", "out"], obj={})
    assert isinstance(done.exception, TrainingFailed), done.exception
    assert str(done.exception.where).startswith("entry fast, step 2")
    assert "entry fast failed: " in done.stderr
    found = entries_of(tmp_path / "out")
    assert (found["fast"]["state"], found["l1"]["state"]) == ("failed", "finished")
    assert "not finite" in found["fast"]["sentence"]
    assert "fast: This run failed: the loss or a stored value is" in done.stdout
    assert "This run failed" in (tmp_path / "out/sweep.html").read_text()


def refused(*words: str, kind: type[DddmError]) -> str:
    done = CliRunner().invoke(run, [*words], obj={})
    assert isinstance(done.exception, kind), done.output
    return str(done.exception)


def test_mistakes_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped entry, a wrong one beside a right one, and places that hold something else."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path)
    assert "did you mean l1" in refused("tiny.toml", "--entry", "l11", kind=UsageError)
    message = refused("tiny.toml", "--set", "sweep.1.metric.use=l1", "--set", "sweep.1.metric.c=1",
                      kind=RecipeError)  # fmt: skip
    assert "entry l2: the metric l1 has no option 'c'" in message
    assert not (tmp_path / "runs").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("mine")
    assert "nor a sweep's folder" in refused("tiny.toml", "--folder", "full", kind=UsageError)
    assert "is a file" in refused("tiny.toml", "--folder", "tiny.toml", kind=UsageError)
    (tmp_path / "full/recipe.toml").write_text("")
    assert "of a single run" in refused("tiny.toml", "--folder", "full", kind=UsageError)
    assert "cannot be combined" in refused("tiny.toml", "--jobs", "2", "--nproc", "2",
                                           kind=UsageError)  # fmt: skip
    (tmp_path / "old/l1").mkdir(parents=True)
    (tmp_path / "old/sweep.json").write_text("{}")
    (tmp_path / "old/l1/recipe.toml").write_text("")
    seeds = ("--set", "training_seeds=[0]", "--folder", "old")
    assert "the sweep now has training_seeds" in refused("tiny.toml", *seeds, kind=UsageError)
    write_tiny(tmp_path)
    assert "not a sweep" in refused("tiny.toml", "--entry", "l1", kind=UsageError)
    assert "several entries of a sweep" in refused("tiny.toml", "--jobs", "2", kind=UsageError)


def test_a_dry_run_estimates_each_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One estimate an entry; with --entry that one alone; nothing is made."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path)
    done = CliRunner().invoke(run, ["tiny.toml", "--dry-run", "--json"], obj={})
    found = [entry["recipe"] for entry in json.loads(done.stdout)["entries"]]
    assert found == ["tiny-l1", "tiny-l2"]
    done = CliRunner().invoke(run, ["tiny.toml", "--dry-run", "--entry", "l2"], obj={})
    assert done.stdout.startswith("tiny-l2")
    assert not (tmp_path / "runs").exists()


def test_entries_with_one_budget_have_steps_by_their_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the evaluations, half the steps; a budget that is too small for one step is refused."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path)
    (tmp_path / "tiny.toml").write_text(
        (tmp_path / "tiny.toml").read_text().replace("epochs = 1", "training_flops = 2e10")
        + """
[[sweep]]
name = "two"
objective = { use = "energy-score", latents = 2 }
sample = [{ use = "fixed-time", steps = [1], images = 70 }]
"""
    )
    words = ("tiny.toml", "--set", "training_seeds=[0,1]", "--dry-run")
    done = CliRunner().invoke(run, [*words, "--json"], obj={})
    one, other, two = (entry["training"] for entry in json.loads(done.stdout)["entries"])
    assert one["steps"] == other["steps"]
    assert one["steps"] / two["steps"] == pytest.approx(2, rel=0.1)
    for entry in (one, two):
        assert entry["flops"] == pytest.approx(2e10, abs=250 * entry["flops_of_image"] / 2)
    done = CliRunner().invoke(run, words, obj={})
    assert "training of each entry, with 2 training seeds" in done.stdout
    assert "The budgets agree within a step." in done.stdout.splitlines()[-1]
    done = CliRunner().invoke(run, [*words, "--set", "sweep.2.train.epochs=2"], obj={})
    assert "The budgets differ: " in done.stdout.splitlines()[-1]
    message = refused("tiny.toml", "--set", "sweep.2.train.training_flops=1e6", kind=RecipeError)
    assert "training_flops: a budget of 1.00 MFLOP is too small for one step, which" in message
    assert "at: entry two, --set sweep.2.train.training_flops=1e6" in message
    assert not (tmp_path / "runs").exists()


def test_an_entry_that_cannot_be_trained_or_sampled_is_refused_by_name_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any entry is trained, whichever it is and also where another one is asked for."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path)
    fine = (tmp_path / "tiny.toml").read_text()
    for entry, words in (
        ("train = { training_flops = 1e6 }", "training_flops: a budget of 1.00 MFLOP is too small"),
        (
            'objective = { use = "energy-score" }\nbackbone = { estimate = "concatenation" }',
            "entry bad: steps: the sampler fixed-time refines x̂, but the objective energy-score",
        ),
    ):
        text = f'{fine}\n[[sweep]]\nname = "bad"\n{entry}\n'
        (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
        message = refused("tiny.toml", kind=RecipeError)
        assert words in message
        assert "bad" in message
        line = message.partition("tiny.toml:")[2].partition(":")[0].split()[0].rstrip(",;:")
        shown = text.splitlines()[int(line) - 1]
        assert "training_flops = 1e6" in shown or "steps" in shown
        assert not (tmp_path / "runs").exists()
