"""The end of `dddm run`: scores, a sentence on them, one duration, and the path of the report."""

import json
import re
from pathlib import Path

from command_line import call, invoke, succeeded, write_tiny

from dddm.evaluate.record import read_scores
from dddm.evaluate.verdicts import headline
from dddm.report.wording import duration


def test_a_run_ends_with_scores_and_a_verdict(tmp_path: Path) -> None:
    """On stderr: the table of `dddm evaluate`, the best score in a sentence, the time once."""
    write_tiny(tmp_path, ("epochs = 3", "epochs = 1"))
    done = call("run", "tiny.toml", "--folder", "run", cwd=tmp_path)
    assert succeeded(done) == "run/report.html\n"
    verdict = str(headline(read_scores(tmp_path / "run/scores.json")))
    assert done.stderr.splitlines()[-1] == f"{verdict}."
    assert "not better than a Gaussian for each class" in verdict
    table = invoke("evaluate", "run", cwd=tmp_path)
    assert "held-out" in table
    assert "".join(table.split()) in "".join(done.stderr.split())
    seconds = json.loads((tmp_path / "run/run.json").read_text())["seconds"]
    (taken,) = re.findall(r"took (.*?): see", done.stderr)
    page = (tmp_path / "run/report.html").read_text()
    assert f"<dt>time</dt><dd>{taken}<small>" in page
    assert taken == duration(sum(seconds.values()))
    again = call("run", "tiny.toml", "--folder", "run", "--json", cwd=tmp_path)
    assert json.loads(succeeded(again)) == {"report": "run/report.html", "verdict": verdict}
    assert f"took {taken}" in again.stderr


def test_a_run_without_scores_has_no_verdict(tmp_path: Path) -> None:
    write_tiny(tmp_path, ("epochs = 3", "epochs = 1"), ('[evaluate]\nfeatures = "pixels"\n', ""))
    done = call("run", "tiny.toml", "--folder", "run", cwd=tmp_path)
    assert succeeded(done) == "run/report.html\n"
    assert re.search(r"^finished: .* took .*: see run/report.html$", done.stderr, re.MULTILINE)
    assert "Fréchet" not in done.stderr
