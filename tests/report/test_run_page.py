"""The report of a run folder with real digits, as a browser reads it."""

import base64
import io
import json
import math
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from PIL import Image
from report_runs import (
    STEPS,
    Page,
    begin_run,
    digits,
    finished_run,
    log_events,
    make_recipe,
    make_scores,
    put_progress,
    put_samples,
    put_scores,
    stopped,
    training_events,
)

from dddm.errors import EnvironmentProblem
from dddm.evaluate.record import DEVIATION
from dddm.interfaces.observer import EpochDone, ScoreMeasured
from dddm.recipe.model import ComponentConfig, Recipe
from dddm.report.history import read_history, read_run_info
from dddm.report.run_page import (
    diagnosis_chart,
    diagnosis_verdict,
    head_facts,
    loss_chart,
    repeat_command,
    run_page,
    training_charts,
    write_report,
)
from dddm.training.run_folder import RunFolder

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}'


def html_of(recipe: Recipe, folder: RunFolder) -> str:
    """The report's text."""
    return write_report(recipe, folder=folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, RunFolder, str]:
    """A finished run and its page."""
    recipe, folder = finished_run(tmp_path_factory.mktemp("runs") / "digits")
    return recipe, folder, html_of(recipe, folder)


def test_the_page_is_well_formed_and_in_the_order_in_which_one_reads(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """Every tag is closed, each id stands once, and sections follow the story of a run."""
    page = Page(finished[2])
    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    assert [tag["id"] for tag in page.named("section")] == [
        "samples",
        "over-the-steps",
        "scores",
        "score-over-steps",
        "training",
        "diagnosis",
        "progress",
        "nearest",
        "recipe",
        "repeat",
    ]


def test_the_page_needs_nothing_beside_itself(finished: tuple[Recipe, RunFolder, str]) -> None:
    """No script, link or frame; pictures carry their bytes; no style reaches outside."""
    html = finished[2]
    page = Page(html)
    tags = {name for name, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "audio", "video"}
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            target = attributes.get(name, "data:")
            assert target.startswith(("data:image/png;base64,", "data:", "#"))
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "@import" not in html
    # What is left are the names of SVG's own vocabulary, which nobody fetches.
    addresses = {match.rstrip("\"'") for match in re.findall(r"https?://\S+?[\"']", html)}
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_every_chart_is_xml_with_a_description(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    charts = re.findall(r"<svg.*?</svg>", finished[2], flags=re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        assert ET.fromstring(chart).get("aria-label")  # noqa: S314 - our own output


def test_samples_stand_beside_as_many_real_images_of_the_same_classes(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """The better sampler is first, its steps rise; all grids are of one size, with captions."""
    page = Page(finished[2])
    samples = [img for img in page.named("img") if img["alt"].startswith("Samples of")]
    real = [img for img in page.named("img") if img["alt"].startswith("Real")]
    assert [img["alt"] for img in samples] == [
        "Samples of annealed at 10 steps",
        "Samples of fixed-time at 1 step",
        "Samples of fixed-time at 10 steps",
    ]
    assert len(real) == 2
    assert len({(img["width"], img["height"]) for img in samples + real}) == 1
    text = page.words("samples")
    assert "1 step = 1 network evaluation per image" in text
    assert "10 steps = 10 network evaluations per image" in text
    assert "one class a row: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in text
    for img in page.named("img"):
        contents = base64.b64decode(img["src"].removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(contents)) as drawn:
            assert (drawn.format, drawn.width, drawn.height) == (
                "PNG",
                int(img["width"]),
                int(img["height"]),
            )


def test_every_number_of_the_score_tables_is_one_of_the_file(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """The tables hold the file's values exactly, each shown rounded to about three digits."""
    _, folder, html = finished
    scores = json.loads(folder.scores.read_text(encoding="utf-8"))
    scores.sort(key=lambda score: score["sampler"])  # annealed, which has the best score, is first
    page = Page(html)
    wanted: dict[str, list[float]] = {"scores": [], "nearest": []}
    rows: dict[tuple[str, str], float] = {}
    for score in scores:
        section = "scores" if score["measure"]["name"] == "fd" else "nearest"
        wanted[section].append(score["value"])
        for floor in score["floors"]:
            wanted[section].append(floor["value"])
            if floor["generated_value"] is not None:
                wanted[section].append(floor["generated_value"])
        if section == "nearest":
            wanted[section].append(score["details"]["close_share"])
        for baseline in score["baselines"]:
            rows[section, baseline["name"]] = baseline["value"]
    assert list(rows) == [("scores", "class-gaussian")]
    for (section, _), value in rows.items():  # once below those of the samples
        wanted[section].append(value)
    for section, values in wanted.items():
        shown = [(value, text) for value, text, where in page.data if where == section]
        assert [value for value, _ in shown] == values
        for value, text in shown:
            read = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
            assert read == pytest.approx(value, rel=0.06 if text.endswith("%") else 0.005)


def test_the_page_tells_what_a_score_depends_on_and_warns(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """Beside the table: floors, the number of images, the features, the file's own warnings."""
    text = Page(finished[2]).words("scores")
    assert "compares mean and covariance" in text
    assert "in the features of digits-classifier (trained on digits)" in text
    assert "drawn again with repetition" in text
    assert text.count("training may have fitted what the score looks at") == 1
    assert "class-gaussianno network19.2" in text
    assert "made from the training images without a network: a Gaussian for each class." in text
    verdict = "without a network, and these samples are not better: 58.8 (fixed-time, 1 step)."
    assert f"a Gaussian for each class reaches 19.2, {verdict}" in text


def test_the_head_sums_the_run_up(finished: tuple[Recipe, RunFolder, str]) -> None:
    """Epochs, parameters, speed, time of each task, device and date stand at the top."""
    text = Page(finished[2]).words("")
    for fact in (
        "trained on 1,500 images of 8 × 8 pixels (digits)",
        "4 epochs",
        "12 steps",
        "361,234",
        "1,007 images/s",
        "1 min 02 s training, 3.2 s sampling, 0.5 s scores",
        "x86_64, 1 CPU thread",
        "5 January 2026",
    ):
        assert fact in text
    assert not any(tag.get("class") == "notice" for tag in Page(finished[2]).named("p")[:3])


def test_recipe_versions_and_the_command_are_there(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """What one needs to repeat the run: the recipe's text as it is, versions, a command."""
    _, folder, html = finished
    page = Page(html)
    assert folder.recipe.read_text(encoding="utf-8").strip() in page.sections["recipe"]
    assert "torch2.6.0" in page.words("repeat")
    command = f"dddm run {folder.recipe} --folder {folder.path}-again"
    assert command in page.words("repeat")


def test_writing_it_twice_gives_the_same_page(finished: tuple[Recipe, RunFolder, str]) -> None:
    """Nothing in the page depends on when or how often it is written."""
    recipe, folder, html = finished
    assert html_of(recipe, folder) == html


def test_an_empty_run_has_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    """Each part without files is one plain sentence."""
    recipe = make_recipe("train.sample_every_epochs=2")
    folder = RunFolder(tmp_path)
    page = Page(html_of(recipe, folder))
    assert "Training has not started" in page.words("")
    assert "No samples have been drawn yet" in page.words("samples")
    assert "There are no scores yet" in page.words("scores")
    assert "needs scores" in page.words("score-over-steps")
    assert "no samples of one sampler at two step counts" in page.words("over-the-steps")
    assert "does not hold two steps of training yet" in page.words("training")
    assert "Leak diagnostic: not measured yet" in page.words("diagnosis")
    assert "one is due every 2 epochs" in page.words("progress")
    assert "No check for copies of training images was measured" in page.words("nearest")
    assert "no recipe.toml" in page.words("recipe")
    assert "does not record them yet" in page.words("repeat")
    assert not page.named("img")
    assert not page.named("svg")


def test_a_run_in_progress_says_how_far_it_is(tmp_path: Path) -> None:
    """Half of the steps: curves as far as they go, and a sentence that more may come."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    log_events(folder, training_events(folder, steps=STEPS // 2))
    page = Page(html_of(recipe, folder))
    assert "Training is at step 6 of 12. The run is still going, or its process was killed" in (
        page.words("")
    )
    assert "2 of 4 epochs" in page.words("")
    assert len(page.named("svg")) == 3


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("interrupted", "This run was interrupted. Training is at step 6 of 12."),
        ("failed", "This run failed: the loss is nan. Training is at step 6 of 12."),
    ],
)
def test_a_run_that_stopped_early_says_so(tmp_path: Path, reason: str, expected: str) -> None:
    """An interrupted and a failed run are told apart, with the step and the message."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    log_events(folder, training_events(folder, steps=6))
    log_events(folder, [stopped(reason, step=6, message="the loss is nan")])
    assert expected in Page(html_of(recipe, folder)).words("")


def test_samples_without_scores_are_shown_without_them(tmp_path: Path) -> None:
    """A trained run without scores shows its samples and says that scores are missing."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    log_events(folder, training_events(folder))
    split = digits()
    for sampler, steps in (("fixed-time", 1), ("fixed-time", 10), ("annealed", 10)):
        put_samples(folder, split, sampler=sampler, steps=steps)
    page = Page(html_of(recipe, folder))
    assert "the samples have no scores yet" in page.words("")
    assert "Fréchet distance" not in page.words("samples")


def test_without_its_data_set_the_page_shows_samples_alone(tmp_path: Path) -> None:
    """Real images that cannot be read are a sentence; everything else is there."""
    recipe, folder = finished_run(tmp_path / "run")
    lost = attrs.evolve(recipe.data.component, target="dddm_datasets.nowhere:Nothing")
    recipe = attrs.evolve(recipe, data=ComponentConfig(component=lost, options=recipe.data.options))
    page = Page(html_of(recipe, folder))
    assert "Real images to compare with are missing: the dataset dddm:digits cannot be loaded" in (
        page.words("samples")
    )
    assert len([img for img in page.named("img") if img["alt"].startswith("Real")]) == 0
    assert len([img for img in page.named("img") if img["alt"].startswith("Samples of")]) == 3


def test_damaged_files_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    """A truncated set, a broken log, broken scores and a half-written grid cost only themselves."""
    recipe, folder = finished_run(tmp_path / "run")
    arrays = folder.samples / "fixed-time-1" / "samples.npz"
    arrays.write_bytes(arrays.read_bytes()[:1000])
    with folder.events.open("a", encoding="utf-8") as log:
        log.write("{broken\n")
    folder.scores.write_text('[{"measure": "fd"', encoding="utf-8")
    folder.about.write_text("[]", encoding="utf-8")
    first = folder.progress / "epoch-00002.png"
    first.write_bytes(first.read_bytes()[:100])
    page = Page(html_of(recipe, folder))
    head = page.words("")
    assert "samples.npz of the samples fixed-time-1 is damaged" in head
    assert "of events.jsonl is damaged" in head
    assert "run.json is damaged" in head
    assert "The scores cannot be read" in page.words("scores")
    alts = [img["alt"] for img in page.named("img")]
    assert "Samples of fixed-time at 10 steps" in alts
    assert "Samples after 4 epochs" in alts
    assert "Samples after 2 epochs" not in alts
    assert len(page.named("svg")) == 5


def test_scores_of_a_wrong_type_are_not_shown(tmp_path: Path) -> None:
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    put_scores(folder)
    text = folder.scores.read_text(encoding="utf-8")
    folder.scores.write_text(text.replace("58.7654321", "true", 1), encoding="utf-8")
    page = Page(html_of(recipe, folder))
    assert "'value' is a boolean, not a number" in page.words("scores")
    assert page.data == []


def test_nothing_from_a_file_becomes_markup(tmp_path: Path) -> None:
    """Names, labels, options, versions, messages and scores are shown as the text they are."""
    recipe = attrs.evolve(make_recipe(), name=EVIL, fingerprint=EVIL)
    folder = begin_run(tmp_path / "run", recipe)
    folder.recipe.write_text(f"# </pre>{EVIL}\n", encoding="utf-8")
    folder.note_about(versions={EVIL: EVIL}, machine={"device": EVIL, "name": EVIL})
    log_events(folder, training_events(folder, steps=6))
    log_events(folder, [stopped("failed", step=6, message=EVIL)])
    split = digits()
    put_samples(folder, split, sampler="fixed-time", steps=1)
    facts = folder.samples / "fixed-time-1" / "manifest.json"
    told = json.loads(facts.read_text(encoding="utf-8"))
    told |= {"sampler": EVIL, "sampler_options": {EVIL: EVIL}, "classes": [EVIL] * 10}
    facts.write_text(json.dumps(told), encoding="utf-8")
    put_scores(folder)
    text = folder.scores.read_text(encoding="utf-8")
    evil = json.dumps(EVIL)[1:-1]
    for word in ("fixed-time", "fd-digits-classifier@120", "resample", "training may have"):
        text = text.replace(word, evil)
    folder.scores.write_text(text, encoding="utf-8")

    html = html_of(recipe, folder)

    page = Page(html)
    assert not page.named("script")
    assert not [tag for _, tag in page.tags if "onerror" in tag]
    assert all(img["src"].startswith("data:image/png;base64,") for img in page.named("img"))
    assert EVIL in page.text
    for section in ("", "samples", "scores", "score-over-steps", "recipe", "repeat"):
        assert EVIL in page.sections[section]
    assert "{{ 7 * 7 }}" in page.text


def test_samples_without_classes_stand_beside_images_of_any_class(tmp_path: Path) -> None:
    """An unconditional run shows the first 64 as they come, and as many real images."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    put_samples(folder, digits(), sampler="fixed-time", steps=1, labels=False)
    page = Page(html_of(recipe, folder))
    assert "64 images of each set. Not picked: the first of seed 7" in page.words("samples")
    grids = [img for img in page.named("img") if "nearest" not in img["alt"]]
    assert len(grids) == 2
    assert len({(img["width"], img["height"]) for img in grids}) == 1


def test_many_grids_from_training_are_thinned_out(tmp_path: Path) -> None:
    """Of twenty grids eight are shown, the first and the last among them, and the page says so."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    put_progress(folder, digits(), epochs=range(1, 21))
    page = Page(html_of(recipe, folder))
    alts = [img["alt"] for img in page.named("img")]
    assert len(alts) == 8
    assert (alts[0], alts[-1]) == ("Samples after 1 epoch", "Samples after 20 epochs")
    assert "8 of 20 grids are shown" in page.words("progress")


def test_it_can_be_written_as_bytes_that_any_browser_reads(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """It declares its encoding and a viewport, and forbids itself to load anything."""
    page = Page(finished[2])
    meta = page.named("meta")
    assert {"charset": "utf-8"} in meta
    assert any(tag.get("name") == "viewport" for tag in meta)
    policy = next(tag["content"] for tag in meta if "http-equiv" in tag)
    assert policy.startswith("default-src 'none'")


def test_a_full_disk_leaves_the_page_before_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that cannot be written is an error that says so; the old page stays whole."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    before = html_of(recipe, folder)

    def no_space(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(EnvironmentProblem, match="no space left"):
        write_report(recipe, folder=folder)
    monkeypatch.undo()
    assert folder.report.read_text(encoding="utf-8") == before


def test_samples_stand_above_the_training_images_that_they_are_nearest_to(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """Samples that are training images have themselves below them: both rows are equal."""
    page = Page(finished[2])
    found = [img for img in page.named("img") if "nearest training images below" in img["alt"]]
    assert len(found) == 2
    contents = base64.b64decode(found[0]["src"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(contents)) as drawn:
        pixels = np.asarray(drawn)[::4, ::4]
    assert pixels.shape == (2 * 9 + 1, 10 * 9 + 1)
    assert (pixels[1:9] == pixels[10:18]).all()
    assert "the nearest of all 1,500 training images, pixel by pixel" in page.words("nearest")


def test_samples_are_the_images_of_their_file(tmp_path: Path) -> None:
    """The first picture's first cell is the first image of class 0, pixel for pixel."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    split = digits()
    put_samples(folder, split, sampler="fixed-time", steps=1)
    source = Page(html_of(recipe, folder)).named("img")[0]["src"]
    contents = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(contents)) as drawn:
        cell = torch.tensor(np.asarray(drawn.crop((4, 4, 36, 36))))
    label = split.labels(torch.arange(len(split)))
    assert label is not None
    wanted = split.images(torch.nonzero(label == 0).flatten()[1:2])[0, 0]
    assert torch.equal(cell[::4, ::4], wanted)


def test_one_image_stands_in_a_row_over_the_steps(
    finished: tuple[Recipe, RunFolder, str],
) -> None:
    """Noise, 1 and 10 steps, nearest; below it how far the estimate moved."""
    page = Page(finished[2])
    (strip,) = [img for img in page.named("img") if "over the steps" in img["alt"]]
    assert strip["alt"] == "Images of fixed-time over the steps: noise, 1, 10, nearest"
    text = page.words("over-the-steps")
    assert "starting from the noise in the first column" in text
    assert "the median is 0.100, the largest 0.300" in text


def test_a_manifest_without_the_estimates_change_is_said(tmp_path: Path) -> None:
    """The row of images stays; a sentence stands in the chart's place."""
    recipe, folder = finished_run(tmp_path / "run")
    manifest = folder.samples / "fixed-time-10" / "manifest.json"
    told = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(told | {"change_of_estimate": "much"}), encoding="utf-8")
    page = Page(html_of(recipe, folder))
    assert "does not record how far the estimate moved" in page.words("over-the-steps")
    assert any("over the steps" in img["alt"] for img in page.named("img"))


def test_the_paper_stands_beside_ours_only_where_it_prints_something(
    finished: tuple[Recipe, RunFolder, str], tmp_path: Path
) -> None:
    """A column and a sentence for a recipe with figures; for one without, nothing at all."""
    assert "the paper" not in Page(finished[2]).words("scores").lower()
    figures = (
        'reported=[{source = "table <b>9</b>", score = "fd", sampler = "fixed-time", steps = [1], '
        'images = 50000, values = [2.90]}, {source = "figure 0", says = "all is <i>well</i>"}]'
    )
    recipe = make_recipe(figures)
    folder = begin_run(tmp_path / "run", recipe)
    put_scores(folder)
    page = Page(html_of(recipe, folder))
    text = page.words("scores")
    assert "Fréchet distancethe paper" in text
    assert "The paper, table <b>9</b>: Fréchet distance 2.90 at 1 step (50,000 images)" in text
    assert "It cannot be compared with this run: they are over 120 images" in text
    assert "this run was changed by --set train.epochs=4, train.batch_images=500" in text
    assert "The paper, figure 0: all is <i>well</i>." in text


def test_deviations_over_seeds_are_shown_or_said_to_be_missing(
    finished: tuple[Recipe, RunFolder, str], tmp_path: Path
) -> None:
    """With several seeds ± and bars; with one seed a sentence that there are none, and why."""
    assert "One seed, so there are no error bars" in Page(finished[2]).words("score-over-steps")
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    scores = make_scores()
    scores[0] = attrs.evolve(scores[0], details={DEVIATION: 1.26})
    put_scores(folder, scores)
    page = Page(html_of(recipe, folder))
    assert "± 1.3" in page.words("scores")
    assert "Bars: one standard deviation over the seeds" in page.words("score-over-steps")


def test_a_recipe_without_samples_scores_or_grids_says_so(tmp_path: Path) -> None:
    """What was never asked for is not called missing."""
    recipe = make_recipe()
    train = attrs.evolve(recipe.train, sample_every_epochs=None)
    recipe = attrs.evolve(recipe, sample=(), evaluate=None, train=train)
    page = Page(run_page(recipe, folder=begin_run(tmp_path, recipe), real=None))
    assert "The recipe asks for no samples" in page.words("samples")
    assert "it has no table [evaluate]" in page.words("scores")
    assert "asks for no grids during training" in page.words("progress")


def test_the_command_is_one_that_a_shell_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spaces and quotes stay within one word; a folder given as `.` has its full path."""
    path = tmp_path / "it's a run; rm"
    words = shlex.split(repeat_command(RunFolder(path)))
    assert words == ["dddm", "run", str(path / "recipe.toml"), "--folder", f"{path}-again"]
    monkeypatch.chdir(tmp_path)
    assert repeat_command(RunFolder(Path())) == f"dddm run recipe.toml --folder {tmp_path}-again"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("events.jsonl", "events.jsonl is damaged: it is a folder, not a file"),
        ("run.json", "run.json is damaged: it is a folder, not a file"),
        ("scores.json", "The scores cannot be read"),
        (
            "samples/fixed-time-10/manifest.json",
            "manifest.json of the samples fixed-time-10 is",
        ),
        ("recipe.toml", "The run folder holds no recipe.toml"),
    ],
)
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, name: str, said: str) -> None:
    """A folder in a file's place stands for all refusals of the system: a sentence, no error."""
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    path = folder.path / name
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    assert said in run_page(recipe, folder=folder, real=None)


def test_the_head_invents_nothing(tmp_path: Path) -> None:
    """Without log and run.json the recipe's own facts alone; with them what they say."""
    recipe = make_recipe()
    folder = RunFolder(tmp_path / "none")

    def facts() -> dict[str, tuple[str, str]]:
        history, info = read_history(folder.events), read_run_info(folder)
        found = head_facts(recipe, history=history, info=info)
        return {fact.name: (fact.text, fact.more) for fact in found}

    assert facts() == {"training": ("0 of 4 epochs", "")}
    folder = begin_run(tmp_path / "run", recipe)
    log_events(folder, training_events(folder, steps=6))
    assert facts() == {
        "training": ("2 of 4 epochs", "6 of 12 steps"),
        "parameters": ("361,234", "adm"),
        "speed": ("1,004 images/s", "in training, median"),
        "time": ("1 min 05 s", "1 min 02 s training, 3.2 s sampling, 0.5 s scores"),
        "device": ("cpu", "x86_64, 1 CPU thread"),
        "started": ("5 January 2026", "14:03 UTC"),
    }


def test_losses_that_a_log_axis_cannot_show_are_left_out() -> None:
    losses = dict(enumerate([1.0, math.nan, math.inf, 0.0, -1.0, 0.5, 0.25]))
    chart = loss_chart(make_recipe(), losses)
    assert chart is not None
    assert chart.svg.count("<circle") == 3
    assert loss_chart(make_recipe(), {1: 0.5, 2: 0.0}) is None


def test_a_long_run_has_a_running_mean() -> None:
    chart = loss_chart(make_recipe(), {k: 2.0 + (-1.0) ** k for k in range(1, 4001)})
    assert chart is not None
    assert "mean over 101 logged steps around each" in chart.caption
    faint, mean = (
        {float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", path)}
        for path in re.findall(r'class="line[^>]*d="M([^"]*)"', chart.svg)
    )
    assert max(mean) - min(mean) < (max(faint) - min(faint)) / 1.5


def test_the_running_mean_does_not_lag() -> None:
    """Of a loss that falls evenly it is the loss itself, where there are steps on both sides."""
    chart = loss_chart(make_recipe(), {k: 5000.0 - k for k in range(4000)})
    assert chart is not None
    faint, mean = (
        [float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", path)]
        for path in re.findall(r'class="line[^>]*d="M([^"]*)"', chart.svg)
    )
    middle = len(faint) // 2
    assert faint[middle] == pytest.approx(mean[middle], abs=0.2)
    assert abs(faint[middle] - faint[middle - 1]) < 10


@pytest.mark.parametrize(("given_store", "said"), [(0.1, "has leaked"), (0.3, "has not leaked")])
def test_a_diagnosis_is_judged(tmp_path: Path, given_store: float, said: str) -> None:
    """By the last epoch that was diagnosed, in a sentence of the objective."""
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    assert diagnosis_verdict(recipe, read_history(folder.events)) == ""
    for epoch, store in enumerate((1.0, given_store)):
        numbers = {"given_store": store, "given_noise": 0.4, "data_variance": 0.29}
        event = EpochDone(seconds=1.0, epoch=epoch, step=1, loss=1.0, diagnosis=numbers)
        log_events(folder, [event])
    sentence = diagnosis_verdict(recipe, read_history(folder.events))
    assert said in sentence
    assert f"{given_store:g} given the store" in sentence
    assert sentence.split(":")[0] in html_of(recipe, folder)


def test_points_of_a_diagnosis_that_lack_a_number_are_left_out(tmp_path: Path) -> None:
    """One point is enough, because the floor is a line across."""
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    whole = {"given_store": 0.3, "given_noise": 0.4, "data_variance": 0.29}
    for epoch, diagnosis in enumerate(({"given_store": 0.3}, whole)):
        event = EpochDone(seconds=1.0, epoch=epoch, step=1, loss=1.0, diagnosis=diagnosis)
        log_events(folder, [event])
    chart = diagnosis_chart(recipe, read_history(folder.events))
    assert chart is not None
    assert chart.svg.count("<circle") == 2
    assert (chart.names, chart.floor) == (("given store", "given noise"), "data variance")


def test_scores_during_training_are_a_chart(tmp_path: Path) -> None:
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    events = [
        ScoreMeasured(seconds=1.0, score="fd", sampler="f", steps=steps, evaluations=steps,
                      value=5.0 - epoch, epoch=epoch)
        for epoch in (1, 3) for steps in (1, 2)
    ]  # fmt: skip
    log_events(folder, events)
    (chart,) = training_charts(recipe, read_history(folder.events))
    assert chart.names == ("1 step", "2 steps")
    assert "Fréchet distance during training; less is better" in chart.svg
