"""What stands at the head of the page."""

from pathlib import Path

import pytest
from report_runs import begin_run, log_events, make_recipe, training_events

from dddm.report.run_page.facts import facts_of, read_about, sentence_of
from dddm.report.run_page.history import History, read_history
from dddm.train.run_folder import RunFolder


def test_a_run_that_knows_nothing_of_itself_still_has_a_head(tmp_path: Path) -> None:
    """Without log and run.json there are the recipe's own facts, and no invented ones."""
    recipe = make_recipe()
    about = read_about(RunFolder(tmp_path))
    facts = facts_of(recipe, history=History(), about=about)
    assert [(fact.name, fact.text, fact.more) for fact in facts] == [
        ("training", "0 of 4 epochs", "")
    ]
    assert "trained on images (digits)" in sentence_of(recipe, history=History(), about=about)
    assert about.damage is None


def test_what_a_run_knows_is_told(tmp_path: Path) -> None:
    """Each fact of log and run.json stands under its name."""
    recipe = make_recipe()
    folder = begin_run(tmp_path / "run", recipe)
    log_events(folder, training_events(folder, steps=6))
    facts = facts_of(recipe, history=read_history(folder.events), about=read_about(folder))
    told = {fact.name: (fact.text, fact.more) for fact in facts}
    assert told == {
        "training": ("2 of 4 epochs", "6 of 12 steps"),
        "parameters": ("361,234", "adm"),
        "speed": ("1,004 images/s", "in training, median"),
        "time": ("1 min 05 s", "1 min 02 s training, 3.2 s sampling, 0.5 s scores"),
        "device": ("cpu", "x86_64, 1 CPU thread"),
        "begun": ("5 January 2026", "14:03 UTC"),
    }


@pytest.mark.parametrize("text", ["", "[]", "{", "17", "\xff"])
def test_a_damaged_file_is_said_and_costs_nothing_else(tmp_path: Path, text: str) -> None:
    """run.json that cannot be read leaves every fact empty."""
    folder = RunFolder(tmp_path)
    folder.about.write_text(text, encoding="latin-1")
    about = read_about(folder)
    assert about.damage is not None
    assert "run.json cannot be read" in about.damage
    assert (about.seconds, about.versions, about.image_shape) == ({}, {}, None)


def test_facts_of_another_type_are_left_out(tmp_path: Path) -> None:
    """A table where a number should be, and a number where a table should be, are passed over."""
    folder = RunFolder(tmp_path)
    folder.note_about(
        created=17,
        seconds={"train": "long", "sample": 2},
        versions=[1],
        machine="cpu",
        image_shape={"channels": 1, "height": "8"},
    )
    about = read_about(folder)
    assert about.damage is None
    assert about.created is None
    assert about.seconds == {"sample": 2.0}
    assert (about.versions, about.machine, about.image_shape) == ({}, {}, None)
