"""A new package is refused before anything is written, and is written where it should be."""

from pathlib import Path

import pytest

from dddm.errors import UsageError
from dddm.interfaces.plugin import Kind
from dddm.scaffold.create import create


def test_it_lies_in_a_folder_of_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As package indices write it, whatever was typed; and its files are those that are named."""
    monkeypatch.chdir(tmp_path)
    made = create("Dddm_Sweet.Pea", kind=Kind.METRIC)
    assert made.folder == Path("dddm-sweet-pea")
    there = {file.relative_to(made.folder).as_posix() for file in made.folder.rglob("*.*")}
    assert {*there, "LICENSE"} == {*made.files}
    assert made.next_commands[0] == "cd dddm-sweet-pea"


def test_here_needs_no_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be typed next can be typed as it stands, in a folder with blanks too."""
    monkeypatch.chdir(tmp_path)
    made = create("dddm-sweet-pea", kind=Kind.METRIC, folder=Path("my plugins/new"))
    assert made.next_commands[0] == "cd 'my plugins/new'"
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    here = create("dddm-sweet-pea", kind=Kind.METRIC, folder=Path())
    assert here.next_commands == made.next_commands[1:]


@pytest.mark.parametrize(
    ("name", "more", "what"),
    [
        ("dddm focal", {}, "no name for a package"),
        ("dddm-recipes", {}, "module called dddm_recipes"),
        ("dddm-sweet-pea", {"component": "Sweet"}, "no name for a metric"),
        ("dddm-sweet-pea", {"author": " "}, "no name of an author"),
        ("dddm-sweet-pea", {"author": "A\nB"}, "no name of an author"),
    ],
)
def test_nothing_is_written_when_something_is_refused(
    tmp_path: Path, name: str, more: dict[str, str], what: str
) -> None:
    """The folder is not even made."""
    with pytest.raises(UsageError, match=what) as caught:
        create(name, kind=Kind.METRIC, folder=tmp_path / "new", **more)
    assert caught.value.remedy
    assert not (tmp_path / "new").exists()
