"""Runs of a sweep at the same time: shared out, stopped, failed, killed and resumed."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from command_line import command, environment, write_tiny
from sweep_folders import make_sweep

from dddm.errors import DddmError, EnvironmentProblem, StoppedEarly, TrainingFailed
from dddm.recipe.sweep import EntryRun
from dddm.training.event_log import read_events
from dddm.training.run_folder import locked
from dddm.training.stopping import StopRequest
from dddm.workflow.parallel import Jobs, run_in_parallel, visible_gpus

NOTE = """
import json, os, sys, time
names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
facts = {"began": time.monotonic(), **{name: os.environ.get(name) for name in names}}
time.sleep(0.3)
facts["ended"] = time.monotonic()
open(sys.argv[1], "w").write(json.dumps(facts))
"""
FAIL = 'print("error: the loss is inf\\n  at: entry b, step 3\\n  try: less"); raise SystemExit(5)'
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
SAVING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
open(sys.argv[1], "w").close()
time.sleep(60)
"""


def python(folder: Path, scripts: dict[str, str]) -> Callable[[str], Sequence[str]]:
    """Commands that do one of the scripts, with a path of the run's own."""
    return lambda name: [sys.executable, "-c", scripts[name], str(folder / f"{name}.json")]


def runs_of(folder: Path, names: str) -> list[EntryRun]:
    run = make_sweep(folder).runs[0]
    for name in names:
        (folder / name).mkdir()
    return [evolve(run, name=name) for name in names]


def in_parallel(
    folder: Path, scripts: dict[str, str], *, gpus: tuple[str, ...] = ()
) -> tuple[dict[str, DddmError], list[str]]:
    """Failures by run, and what was said."""
    failures: dict[str, DddmError] = {}
    said: list[str] = []
    run_in_parallel(
        runs_of(folder, "".join(scripts)),
        folder=folder,
        jobs=Jobs(count=2, command=python(folder, scripts), gpus=gpus),
        stop=StopRequest(),
        notify=said.append,
        failed=lambda name, error: failures.update({name: error}),
    )
    return failures, said


def test_as_many_run_as_there_are_jobs_each_with_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never more; cores are divided, and those that are at work together have different GPUs."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("dddm.workflow.parallel.usable_cores", lambda: 7)
    failures, said = in_parallel(tmp_path, dict.fromkeys("abcde", NOTE), gpus=("3", "5"))
    assert failures == {}
    found = [json.loads((tmp_path / f"{name}.json").read_text()) for name in "abcde"]
    at_work = [
        sum(one["began"] <= other["began"] < one["ended"] for one in found) for other in found
    ]
    assert max(at_work) == 2
    assert {one["OMP_NUM_THREADS"] for one in found} == {"3"}
    for one in found:
        for other in found:
            if one is not other and one["began"] <= other["began"] < one["ended"]:
                assert one["CUDA_VISIBLE_DEVICES"] != other["CUDA_VISIBLE_DEVICES"]
    assert {one["CUDA_VISIBLE_DEVICES"] for one in found} == {"3", "5"}
    assert [sentence.split()[1] for sentence in said if "started" in sentence] == [
        "a,", "b,", "c,", "d,", "e,",
    ]  # fmt: skip
    assert sum("finished after" in sentence for sentence in said) == 5


def test_threads_that_the_user_chose_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    in_parallel(tmp_path, {"a": NOTE})
    found = json.loads((tmp_path / "a.json").read_text())
    assert found == found | {"OMP_NUM_THREADS": "5", "CUDA_VISIBLE_DEVICES": None}


def test_gpus_are_those_that_this_process_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus("auto", count=lambda: 3) == ("0", "1", "2")
    assert visible_gpus("auto", count=lambda: 0) == ()
    assert visible_gpus("cpu", count=lambda: 3) == visible_gpus("cuda:1", count=lambda: 3) == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert visible_gpus("cuda", count=lambda: 2) == ("4", "6")


def test_a_run_that_fails_or_is_killed_stops_no_other(tmp_path: Path) -> None:
    """Its error is what its process has shown, of the kind that its exit code says."""
    scripts = {"a": NOTE, "b": FAIL, "c": KILLED, "d": NOTE, "e": "raise SystemExit(1)"}
    failures, said = in_parallel(tmp_path, scripts)
    assert (tmp_path / "d.json").exists()
    assert list(failures) == sorted(failures)
    failed, killed = failures["b"], failures["c"]
    assert type(failed) is TrainingFailed
    assert (failed.what, failed.where, failed.remedy) == ("the loss is inf", "step 3", "less")
    assert type(killed) is EnvironmentProblem
    assert "killed by SIGKILL" in killed.what
    assert (failures["e"].what, failures["e"].exit_code) == ("it ended with exit code 1", 1)
    assert failures["e"].where == str(tmp_path / "e/output.log")
    assert "error: the loss is inf" in (tmp_path / "b/output.log").read_text()
    assert any(sentence.startswith("entry b failed after") for sentence in said)


def test_a_request_to_stop_reaches_all_and_begins_no_other(tmp_path: Path) -> None:
    """Also while one of them has not yet begun to listen."""
    stop = StopRequest()

    def ask(sentence: str) -> None:
        if "entry b" in sentence:
            deadline = time.monotonic() + 30
            while not (tmp_path / "a.json").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            stop.request("a test")

    scripts = {"a": SAVING, "b": "import time; time.sleep(60)", "c": NOTE}
    began = time.monotonic()
    with pytest.raises(StoppedEarly, match="stopped by a test"):
        run_in_parallel(
            runs_of(tmp_path, "abc"),
            folder=tmp_path,
            jobs=Jobs(count=2, command=python(tmp_path, scripts)),
            stop=stop,
            notify=ask,
            failed=lambda name, error: pytest.fail(f"{name}: {error}"),
        )
    assert time.monotonic() - began < 45
    assert not (tmp_path / "c.json").exists()


def test_a_run_that_was_asked_to_stop_stops_the_sweep(tmp_path: Path) -> None:
    with pytest.raises(StoppedEarly, match="a request to the entry a"):
        in_parallel(tmp_path, {"a": "raise SystemExit(75)", "b": SAVING, "c": NOTE})
    assert not (tmp_path / "c.json").exists()


SEEDS = "training_seeds = [0, 1]\n"
ENTRIES = """
[[sweep]]
name = "l1"
metric = { use = "l1" }
[[sweep]]
name = "l2"
metric = { use = "l2" }
"""


def write_seeded(folder: Path) -> None:
    file = write_tiny(
        folder,
        ("epochs = 3", "epochs = 1"),
        ("seed = 5\n", ""),
        ("steps = [1, 2]\nimages = 70", "steps = [1]\nimages = 20"),
    )
    file.write_text(SEEDS + file.read_text() + ENTRIES)


def losses(folder: Path) -> list[tuple[int, float]]:
    events = read_events(folder / "events.jsonl", event="step-done")
    return [(event["step"], event["loss"]) for event in events]


def test_a_sweep_that_is_killed_resumes_with_the_same_result(tmp_path: Path) -> None:
    """`kill -9` ends the runs too, so that none writes on; their results are those of one run."""
    write_seeded(tmp_path)
    words = ("run", "tiny.toml", "--jobs", "2")
    process = subprocess.Popen(
        command(*words), cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
    )
    folder = tmp_path / "runs/tiny"
    deadline = time.monotonic() + 120
    while not (folder / "l2/seed-0/events.jsonl").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    for name in ("l1/seed-0", "l2/seed-0"):
        _wait_for_lock(folder / name)
        assert not (folder / name / "report.html").exists()

    done = subprocess.run(
        command(*words),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entries = {e["name"]: e for e in json.loads((folder / "sweep.json").read_text())["entries"]}
    assert [entry["state"] for entry in entries.values()] == ["finished", "finished"]
    for entry in entries.values():
        (score,) = (one for one in entry["scores"] if one["measure"] == "fd")
        zero, one = score["values"]["0"], score["values"]["1"]
        assert zero != one
        assert score["value"] == pytest.approx((zero + one) / 2)
        assert score["deviation"] == pytest.approx(abs(zero - one) / 2**0.5)
    # One run by itself, in another folder, has the losses of the one among others.
    alone = subprocess.run(
        command("run", "tiny.toml", "--entry", "l2/seed-0", "--folder", "alone"),
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    assert losses(folder / "l2/seed-0") == losses(tmp_path / "alone/l2/seed-0")
    assert losses(folder / "l2/seed-0") != losses(folder / "l2/seed-1")


def _wait_for_lock(folder: Path) -> None:
    """Until nobody has the run folder; the kernel ends processes a moment after their parent."""
    deadline = time.monotonic() + 5
    while True:
        try:
            with locked(folder):
                return
        except EnvironmentProblem:
            assert time.monotonic() < deadline, f"a run is still at work in {folder}"
            time.sleep(0.05)
