"""Which run a name means."""

import json
from pathlib import Path

import pytest

from dddm.errors import UsageError
from dddm.training.portable import MANIFEST, check_files, read_list
from dddm.training.sources import find_source, repository, shipped_runs

SHIPPED_BYTES = 2_000_000


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("hf://user/name", ("user/name", None)),
        ("user/name", ("user/name", None)),
        ("hf://some.user/a-name_1.5@main", ("some.user/a-name_1.5", "main")),
        ("hf://user/name@refs/pr/1", ("user/name", "refs/pr/1")),
    ],
)
def test_names_on_the_hub(name: str, found: tuple[str, str | None]) -> None:
    assert repository(name) == found


@pytest.mark.parametrize(
    "name",
    [
        "hf://user",
        "hf://user/name/more",
        "hf://../name",
        "hf://user/..",
        "hf://user/name@../../x",
        "hf://user/name@a/../b",
        "hf://user/name@",
        "hf://user/na me",
        "hf://user/name@a\n",
        "hf:///user/name",
    ],
)
def test_what_names_no_repository_is_refused(name: str) -> None:
    """Before anything is asked for, so that no name leads out of the Hub's cache."""
    with pytest.raises(UsageError, match="does not name a run on the Hub"):
        find_source(name)


def test_runs_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is small and as listed; a run folder of the user's with its name goes first."""
    monkeypatch.chdir(tmp_path)
    assert shipped_runs() == ["digits", "digits-dddm"]
    for name in shipped_runs():
        folder = find_source(name)
        assert folder.foreign
        assert folder.drawn == Path("drawn") / name
        check_files(folder.path, read_list(folder.path / MANIFEST))
        files = [path for path in folder.path.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) < SHIPPED_BYTES
    Path("digits").mkdir()
    assert find_source("digits").foreign  # it is no run folder
    for name in ("recipe.toml", "run.json"):
        Path("digits", name).write_text("{}")
    own = find_source("digits")
    assert own.path == Path("digits")
    assert not own.foreign
    assert own.drawn == Path("digits/drawn")


def test_a_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no run folder"):
        find_source("runs/other")
    with pytest.raises(UsageError, match="there is no run yet"):
        find_source(None)


def test_cards_say_the_scores_that_were_measured() -> None:
    """Of the package's runs: each measured value is in the card's metadata, to the last digit."""
    for name in shipped_runs():
        folder = find_source(name)
        card = (folder.path / "README.md").read_text(encoding="utf-8")
        for record in json.loads(folder.scores.read_text(encoding="utf-8")):
            if record["measure"]["better"] != "neither":
                assert f'"value": {record["value"]!r}' in card
        assert f'dddm.load("{name}")' in card
