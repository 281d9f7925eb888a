"""`dddm evaluate`."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from click.testing import CliRunner
from command_line import write_tiny
from sample_folders import write_samples

from dddm.cli.commands import dddm
from dddm.cli.main import main
from dddm.generate.storage import Samples
from dddm.interfaces.plugin import NoOptions
from dddm.recipe.evaluation import preset_names
from dddm.recipe.read import read_recipe
from dddm.recipe.write import to_toml
from dddm.registry.loader import load_catalogue
from dddm.training.run_folder import RunFolder
from dddm_datasets.digits import Digits
from dddm_features.options import CLIP_WEIGHTS, DINOV2_WEIGHTS


@pytest.fixture
def run_folder(tmp_path: Path) -> RunFolder:
    """A run of the digits recipe, whose samples are 40 held-out digits."""
    folder = RunFolder(tmp_path / "runs" / "digits")
    folder.samples.mkdir(parents=True)
    recipe = read_recipe("digits", catalogue=load_catalogue())
    folder.recipe.write_text(to_toml(recipe), encoding="utf-8")
    folder.note_about(name="digits")
    split = Digits(NoOptions()).splits()["held-out"]
    index = torch.arange(40)
    facts = {"sampler": "fixed-time", "steps": 10, "evaluations": 10, "images": 40, "seed": 0}
    samples = Samples(images=split.images(index), label=split.labels(index), facts=facts)
    write_samples(folder.samples / "fixed-time-10", samples, columns=10)
    return folder


def call(*words: str, where: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `dddm` does in a folder; in processes of its own only with `--nproc`."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **variables}
    if "--nproc" in words:
        command = [sys.executable, "-m", "dddm", *words]
        return subprocess.run(
            command, cwd=where, env=environment, capture_output=True, encoding="utf-8", check=False
        )
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        contextlib.chdir(where),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.dict(os.environ, environment),
        pytest.raises(SystemExit) as ended,
    ):
        main(words)
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return subprocess.CompletedProcess(words, int(str(ended.value.code)), *texts)


def test_the_newest_run_is_scored_as_a_table(run_folder: RunFolder, tmp_path: Path) -> None:
    """The table stands on stdout, and scores.json in the run folder."""
    done = call("evaluate", where=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("fixed-time")]
    assert row[1:3] == ["10", "40"]
    assert [score["measure"]["name"] for score in json.loads(run_folder.scores.read_text())] == [
        "fd",
        "nearest",
    ]


def test_json_is_the_file(run_folder: RunFolder) -> None:
    """`--json` prints what the file holds, and nothing else on stdout."""
    done = CliRunner().invoke(dddm, ["evaluate", str(run_folder.path), "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(run_folder.scores.read_text(encoding="utf-8"))


def refused(*words: str, where: Path, code: int, says: tuple[str, ...]) -> None:
    """The command fails with that code, names place and remedy, and shows no traceback."""
    done = call("evaluate", *words, where=where)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for sentence in ("  at: ", "  try: ", *says):
        assert sentence in done.stderr


def test_damaged_samples(run_folder: RunFolder, tmp_path: Path) -> None:
    """Samples that were cut short are data to be drawn again."""
    arrays = run_folder.samples / "fixed-time-10" / "samples.npz"
    arrays.write_bytes(arrays.read_bytes()[:500])
    says = ("samples.npz of the samples fixed-time-10 is damaged", "generate the samples again")
    refused(where=tmp_path, code=7, says=says)


def test_a_recipe_without_evaluation(run_folder: RunFolder, tmp_path: Path) -> None:
    """A recipe that says nothing of scores is named, with what to add."""
    text = run_folder.recipe.read_text(encoding="utf-8")
    before, _ = text.split("[evaluate]")
    run_folder.recipe.write_text(before, encoding="utf-8")
    says = (str(run_folder.recipe.relative_to(tmp_path)), "no table [evaluate]")
    refused(where=tmp_path, code=3, says=says)


def test_no_run(tmp_path: Path) -> None:
    """Where nothing was run, the error says where it looked."""
    refused(where=tmp_path, code=2, says=("no run yet", "dddm run digits"))


EVERY = '["fd", "kid", "is", "precision-recall", "density-coverage", "authenticity", "nearest"]'


@pytest.fixture
def asked_for_all(run_folder: RunFolder) -> RunFolder:
    """The same run, whose recipe asks for every score."""
    text = run_folder.recipe.read_text(encoding="utf-8")
    start = text.index("scores = [")
    end = text.index("\n]", start) + 2
    text = f"{text[:start]}scores = {EVERY}{text[end:]}"
    run_folder.recipe.write_text(text, encoding="utf-8")
    return run_folder


def test_every_score_has_its_column(asked_for_all: RunFolder, tmp_path: Path) -> None:
    """Two tables of 80 columns; real images are the last row of the second."""
    done = call("evaluate", where=tmp_path)
    assert done.returncode == 0, done.stderr
    first, other = [
        line.split() for line in done.stdout.splitlines() if line.startswith("fixed-time")
    ]
    assert (len(first), len(other)) == (8, 9)
    (real,) = [line.split() for line in done.stdout.splitlines() if line.startswith("real ")]
    assert len(real) == 9
    assert "–" not in real[2:]
    assert "…" not in done.stdout
    assert "auth.: Authenticity: share of generated images" in done.stdout


def test_two_processes_score_alike(asked_for_all: RunFolder, tmp_path: Path) -> None:
    """They share the images, and the numbers are those of one process."""
    values = []
    for words in ((), ("--nproc", "2")):
        done = call("evaluate", "--json", *words, where=tmp_path)
        assert done.returncode == 0, done.stderr
        values.append({score["name"]: score["value"] for score in json.loads(done.stdout)})
    assert len(values[0]) == 9
    assert values[1] == pytest.approx(values[0], rel=1e-6, abs=1e-6)
    (provenance,) = {
        score["provenance"]["processes"] for score in json.loads(asked_for_all.scores.read_text())
    }
    assert provenance == 2


@pytest.fixture
def two_runs(run_folder: RunFolder, tmp_path: Path) -> tuple[Path, Path]:
    done = call("evaluate", where=tmp_path)
    assert done.returncode == 0, done.stderr
    other = tmp_path / "runs" / "other"
    shutil.copytree(run_folder.path, other)
    split = Digits(NoOptions()).splits()["train"]
    index = torch.arange(40)
    facts = {"sampler": "fixed-time", "steps": 10, "evaluations": 10, "images": 40, "seed": 1}
    samples = Samples(images=split.images(index), label=split.labels(index), facts=facts)
    shutil.rmtree(other / "samples" / "fixed-time-10")
    write_samples(other / "samples" / "fixed-time-10", samples, columns=10)
    done = call("evaluate", str(other), where=tmp_path)
    assert done.returncode == 0, done.stderr
    return run_folder.path, other


def change_score(run: Path, **changes: object) -> None:
    """Write another value into every score of a run."""
    path = run / "scores.json"
    scores = [{**score, **changes} for score in json.loads(path.read_text())]
    path.write_text(json.dumps(scores))


def balance_classes(run: Path) -> None:
    """As if both runs had as many images of each class."""
    path = run / "scores.json"
    scores = json.loads(path.read_text())
    for score in scores:
        score["provenance"]["samples"]["images_of_each_class"] = None
    path.write_text(json.dumps(scores))


def test_two_runs_side_by_side(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Both values of each score; what differs is said, and then there is no value."""
    words = ("evaluate", "--compare", *map(str, two_runs))
    refused(*words[1:], where=tmp_path, code=7, says=("can be compared", "images of each class"))
    for run in two_runs:
        balance_classes(run)
    done = call(*words, where=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if "fixed-time" in line]
    assert [row[:3] for row in rows] == [
        ["FD", "fixed-time", "10"],
        ["nearest", "fixed-time", "10"],
    ]
    assert all(len(row) == 5 for row in rows)
    plain = json.loads(call(*words, "--json", where=tmp_path).stdout)
    assert [len(pair["values"]) for pair in plain] == [2, 2]
    change_score(two_runs[1], images=50)
    says = ("no score of these runs can be compared", "generated images: 40 and 50")
    refused(*words[1:], where=tmp_path, code=7, says=says)


def test_a_run_without_scores_is_not_compared(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    """It is named, with the command that measures them; a third run is refused."""
    words = ("--compare", *map(str, two_runs))
    refused(*words, "runs/third", where=tmp_path, code=2, says=("exactly two runs",))
    (two_runs[1] / "scores.json").unlink()
    refused(*words, where=tmp_path, code=7, says=("has no scores", "dddm evaluate"))


def test_a_mean_over_seeds(tmp_path: Path) -> None:
    """A recipe that asks for three seeds gets three sets, and scores with their deviation."""
    write_tiny(
        tmp_path, ("images = 70", "images = 70\nseed = 2\nseeds = 3"), ("epochs = 3", "epochs = 1")
    )
    done = call("run", "tiny.toml", where=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "tiny"
    assert len(list((run / "samples").iterdir())) == 6
    scores = json.loads((run / "scores.json").read_text())
    assert len(scores) == 4
    for score in scores:
        sets = score["provenance"]["sets"]
        assert [one["seed"] for one in sets] == [2, 3, 4]
        values = [one["value"] for one in sets]
        assert score["value"] == pytest.approx(sum(values) / 3)
        assert len(set(values)) == 3
        assert score["details"]["deviation_over_seeds"] > 0
    assert "standard deviation over sets of samples" in (run / "report.html").read_text()
    assert "±" in call("evaluate", where=tmp_path).stdout


def scored_by(run: RunFolder) -> list[tuple[str, str]]:
    """Who asked for each score, and what it is called."""
    scores = json.loads(run.scores.read_text(encoding="utf-8"))
    return [(score["provenance"]["requested_by"], score["name"]) for score in scores]


def evaluated(*words: str) -> str:
    done = CliRunner().invoke(dddm, ["evaluate", *words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


PIXELS = ("fd", "kid", "precision", "recall", "nearest")


def test_a_preset_adds_its_scores(run_folder: RunFolder) -> None:
    """Beside the recipe's, whichever comes first; again it replaces its own; the page shows all."""
    run = str(run_folder.path)
    added = [("no-weights", f"{name}-pixels-8x8@40") for name in PIXELS]
    shown = evaluated(run, "--preset", "no-weights")
    assert "features: pixels-8x8" in shown
    assert "digits-classifier" not in shown
    assert scored_by(run_folder) == added
    evaluated(run)
    own = [("recipe", f"{name}-digits-classifier@40") for name in ("fd", "nearest")]
    assert scored_by(run_folder) == own + added
    evaluated(run, "--preset", "no-weights")
    assert scored_by(run_folder) == own + added
    assert CliRunner().invoke(dddm, ["report", run]).exit_code == 0
    page = run_folder.report.read_text(encoding="utf-8")
    for _, name in own + added:
        assert f"{name}: " in page


OWN = """\
format = 2
summary = "digits and pixels"

[evaluate]
scores = ["fd"]
features = ["digits-classifier", "pixels"]

[evaluate.protocol]
name = "ours"
features = ["dddm:digits-classifier", "dddm:pixels"]
images = {images}
"""


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (40, ("fd-digits-classifier", "fd-pixels")),
        (41, ("fd-digits-classifier@40", "fd-pixels@40")),
    ],
)
def test_a_preset_of_ones_own(
    run_folder: RunFolder, tmp_path: Path, images: int, names: tuple[str, ...]
) -> None:
    """A table for each of its features; where its protocol is not kept, table and page say so."""
    preset = tmp_path / "ours.toml"
    preset.write_text(OWN.format(images=images))
    shown = " ".join(evaluated(str(run_folder.path), "--preset", str(preset)).split())
    assert "features: digits-classifier" in shown
    assert "features: pixels" in shown
    assert scored_by(run_folder) == [(str(preset), name) for name in names]
    assert CliRunner().invoke(dddm, ["report", str(run_folder.path)]).exit_code == 0
    page = " ".join(run_folder.report.read_text(encoding="utf-8").split())
    warned = [f"40 generated images, not {images}" in text for text in (shown, page)]
    assert warned == [images != 40] * 2


def test_weights_that_are_not_there(run_folder: RunFolder, tmp_path: Path) -> None:
    """All files at once, with how to get them, before anything is extracted, drawn or made."""
    no_weights = {"DDDM_WEIGHTS": str(tmp_path), "TORCH_HOME": str(tmp_path / "torch")}
    write_tiny(tmp_path, ('features = "pixels"', 'preset = "unbiased"'))
    before = sorted(run_folder.path.iterdir())
    theirs = ("--images", str(run_folder.samples / "fixed-time-10"), "--against", "digits")
    for words in (
        ("evaluate", str(run_folder.path), "--preset", "unbiased"),
        ("evaluate", "--preset", "unbiased", *theirs),
        ("run", "tiny.toml"),
    ):
        done = call(*words, where=tmp_path, **no_weights)
        assert done.returncode == 7, done.stderr
        assert "2 files of weights are missing" in done.stderr
        for file in (CLIP_WEIGHTS, DINOV2_WEIGHTS):
            for needed in (file.url, file.sha256, f"dddm weights fetch {file.name}"):
                assert needed in done.stderr
        assert "features of" not in done.stderr
        assert done.stdout == ""
    assert sorted(run_folder.path.iterdir()) == before
    assert not (tmp_path / "runs" / "tiny").exists()


def test_presets_are_listed(run_folder: RunFolder, tmp_path: Path) -> None:
    """Help and schema name each that comes with dddm; a name that is none is answered by one."""
    help_text = evaluated("--help")
    schema = json.loads(CliRunner().invoke(dddm, ["schema"]).stdout)
    listed = schema["properties"]["evaluate"]["properties"]["preset"]
    for name in preset_names():
        assert help_text.count(name) >= 2
        assert name in listed["description"]
        assert name in listed["anyOf"][0]["enum"]
    done = call("evaluate", "--preset", "unbias", where=tmp_path)
    assert done.returncode == 3
    assert "did you mean unbiased?" in done.stderr
    assert "Traceback" not in done.stderr


def test_images_of_others(run_folder: RunFolder, tmp_path: Path) -> None:
    """Scored against a recipe, a run or other images, they have the run's own values."""
    theirs = str(run_folder.samples / "fixed-time-10")
    own = json.loads(evaluated(str(run_folder.path), "--json"))
    for against in ("digits", str(run_folder.path)):
        found = json.loads(evaluated("--images", theirs, "--against", against, "--json"))
        assert [score["value"] for score in found] == [score["value"] for score in own]
    before = sorted(run_folder.path.iterdir())
    arrays = f"{theirs}/samples.npz"
    shown = evaluated("--images", arrays, "--against", theirs, "--preset", "no-weights")
    (row, _) = [line.split() for line in shown.splitlines() if line.strip().startswith("samples")]
    assert row[:3] == ["samples.npz", "–", "40"]
    assert sorted(run_folder.path.iterdir()) == before
    done = call("evaluate", "--images", theirs, "--against", "digits", "--nproc", "2", "--json",
                where=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    values = [score["value"] for score in json.loads(done.stdout)]
    assert values == pytest.approx([score["value"] for score in own], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--images", "samples"), 2, ("--images and --against are used together",)),
        (("--against", "digits"), 2, ("--images and --against are used together",)),
        (("runs/digits", "--images", "a", "--against", "digits"), 2, ("cannot be scored at once",)),
        (("--images", "a", "--against", "runs"), 2, ("--preset cifar10-paper or",)),
        (("--images", "a", "--against", "digit"), 3, ("did you mean digits?",)),
        (("--images", "a", "--against", "digits"), 7, ("no images at a", ".npz")),
        (("--compare", "a", "b", "--preset", "unbiased"), 2, ("does not measure",)),
    ],
)
def test_options_that_do_not_fit(
    run_folder: RunFolder, tmp_path: Path, words: tuple[str, ...], code: int, says: tuple[str, ...]
) -> None:
    done = call("evaluate", *words, where=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "  try: " in done.stderr
    for sentence in says:
        assert sentence in done.stderr
