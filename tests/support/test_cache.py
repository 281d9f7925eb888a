"""Where the cache lies, and what its names depend on."""

import errno
from pathlib import Path

import pytest

from dddm.errors import EnvironmentProblem
from dddm.support import files
from dddm.support.cache import cache_folder, key_of
from dddm.support.weights import search_folders


def test_the_variable_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("DDDM_CACHE", "~/there")
    assert cache_folder() == tmp_path / "there"
    monkeypatch.delenv("DDDM_CACHE")
    assert cache_folder() == tmp_path / ".cache" / "dddm"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "dddm"


def test_without_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache says what to set; weights are not searched for where nobody has put them."""

    def unknown(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    monkeypatch.setattr("os.path.expanduser", str)
    for name in ("DDDM_CACHE", "XDG_CACHE_HOME", "TORCH_HOME", "DDDM_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EnvironmentProblem, match="no home folder") as refused:
        cache_folder()
    assert refused.value.remedy == "set DDDM_CACHE to a folder that you may write to"
    assert search_folders() == (Path("~/.cache/torch/hub/checkpoints"),)
    with pytest.raises(EnvironmentProblem, match="cannot be written to"):
        deny(Path("anywhere"))


def deny(path: Path) -> None:
    with files.raise_on_disk_full(path):
        raise PermissionError(errno.EACCES, "no", str(path))


def test_a_cache_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the variable; elsewhere it does not."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EnvironmentProblem) as refused:
        deny(tmp_path / "cache/packed/mine")
    assert refused.value.remedy == "set DDDM_CACHE to a folder that you may write to"
    with pytest.raises(EnvironmentProblem) as refused:
        deny(tmp_path / "run")
    assert "DDDM_CACHE" not in str(refused.value.remedy)


def test_keys_tell_values_apart() -> None:
    """The order of a table's keys makes no difference; everything else does."""
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    values = [{"a": 1}, {"a": "1"}, {"a": [1]}, {"b": 1}, {"a": None}, {}]
    assert len({key_of(value) for value in values}) == len(values)
