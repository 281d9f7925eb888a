"""Well-known data sets are looked for where the user says, then in two usual places."""

from pathlib import Path

import pytest

from dddm_datasets.find_data import candidates, not_found


def test_the_recipe_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path in the recipe is the only place; it may be the folder itself or the one around it."""
    monkeypatch.setenv("DDDM_DATA", "/elsewhere")
    assert candidates(str(tmp_path), names=("x",)) == [tmp_path, tmp_path / "x"]


def test_then_the_variable_then_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DDDM_DATA", raising=False)
    local = [tmp_path / "data", tmp_path / "data" / "x"]
    assert candidates(None, names=("x",)) == local
    monkeypatch.setenv("DDDM_DATA", str(tmp_path / "all"))
    assert candidates(None, names=("x",)) == [tmp_path / "all", tmp_path / "all" / "x", *local]


def test_the_message_says_what_to_set(tmp_path: Path) -> None:
    """The variable where no path was given, the path where one was."""
    error = not_found("It", path=None, names=("x",), download="it is there")
    assert "DDDM_DATA" in str(error.remedy)
    error = not_found("It", path=str(tmp_path), names=("x",), download="it is there")
    assert "correct data.path; it is there" in str(error.remedy)
    assert str(tmp_path / "x") in str(error.where)
