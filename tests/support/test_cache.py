"""Where the cache lies, and what its names depend on."""

from pathlib import Path

import pytest

from dddm.support.cache import cache_folder, key_of


def test_the_variable_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("DDDM_CACHE", "~/there")
    assert cache_folder() == tmp_path / "there"
    monkeypatch.delenv("DDDM_CACHE")
    assert cache_folder() == tmp_path / ".cache" / "dddm"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "dddm"


def test_keys_tell_values_apart() -> None:
    """The order of a table's keys makes no difference; everything else does."""
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    values = [{"a": 1}, {"a": "1"}, {"a": [1]}, {"b": 1}, {"a": None}, {}]
    assert len({key_of(value) for value in values}) == len(values)
