"""Weights are found in the named folders, and used only if they are what they should be."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dddm.errors import DataError, DddmError, EnvironmentProblem
from dddm.interfaces.plugin import WeightFile
from dddm.support.weights import find_weights, search_folders, verify_hash

CONTENT = b"weights"
FILE = WeightFile(
    name="net.pth",
    url="https://example.org/net.pth",
    size_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """Two folders of $DDDM_WEIGHTS and torch's hub cache, in this order; they exist."""
    first, second, torch_home = (tmp_path / name for name in ("one", "two", "torch"))
    monkeypatch.setenv("DDDM_WEIGHTS", f"{first}{os.pathsep}{second}{os.pathsep}")
    monkeypatch.setenv("TORCH_HOME", str(torch_home))
    hub = torch_home / "hub" / "checkpoints"
    for folder in (first, second, hub):
        folder.mkdir(parents=True)
    return first, second, hub


def refused(kind: type[DddmError] = DataError) -> str:
    with pytest.raises(kind) as caught:
        find_weights(FILE)
    return str(caught.value)


def test_folders_in_their_order(folders: tuple[Path, Path, Path]) -> None:
    """$DDDM_WEIGHTS as it is written, empty parts left out, then the hub cache."""
    assert search_folders() == folders


ASK = """
import os, sys
from dddm.support.weights import search_folders
found = []
for variables in ({}, {"TORCH_HOME": "~/a"}, {"XDG_CACHE_HOME": "/b"}, {"TORCH_HOME": "c"}):
    os.environ.update(variables)
    found.append((search_folders(), variables))
    [os.environ.pop(name) for name in variables]
assert "torch" not in sys.modules
import torch.hub
for folders, variables in found:
    os.environ.update(variables)
    print([str(folder) for folder in folders] == [torch.hub.get_dir() + "/checkpoints"])
    [os.environ.pop(name) for name in variables]
"""


def test_the_hub_cache_is_torchs() -> None:
    """The last folder is the one that torch itself would use, found without torch."""
    rest = {k: v for k, v in os.environ.items() if not k.startswith(("TORCH_", "XDG_", "DDDM_"))}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=rest, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True"] * 4


def test_the_first_right_file_is_found(folders: tuple[Path, Path, Path]) -> None:
    """A folder before others wins; a wrong file does not hide a right one."""
    (folders[2] / "net.pth").write_bytes(CONTENT)
    assert find_weights(FILE) == folders[2] / "net.pth"
    (folders[1] / "net.pth").write_bytes(CONTENT)
    (folders[0] / "net.pth").write_bytes(b"wrong")
    assert find_weights(FILE) == folders[1] / "net.pth"


def test_nothing_found(folders: tuple[Path, Path, Path]) -> None:
    """The message has all that is needed to put the file there by hand, or by a command."""
    text = refused()
    assert "were not found" in text
    for needed in (FILE.url, FILE.sha256, "7 bytes", str(folders[0] / "net.pth"), str(folders[2])):
        assert needed in text
    assert "dddm weights fetch net.pth" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"weight", ["the wrong size, 6 bytes", "7 bytes"]),
        (b"Weights", ["the wrong hash", hashlib.sha256(b"Weights").hexdigest()]),
    ],
    ids=["size", "hash"],
)
def test_a_wrong_file(folders: tuple[Path, Path, Path], content: bytes, words: list[str]) -> None:
    """Wrong size and wrong hash are told apart, and from none; each with what would be right."""
    (folders[1] / "net.pth").write_bytes(content)
    text = refused()
    for needed in (*words, FILE.url, FILE.sha256, str(folders[1] / "net.pth"), "fetch net.pth"):
        assert needed in text
    assert "not found" not in text


def test_a_file_is_verified_every_time(folders: tuple[Path, Path, Path]) -> None:
    """A file that was right and has changed since is refused."""
    (folders[0] / "net.pth").write_bytes(CONTENT)
    find_weights(FILE)
    (folders[0] / "net.pth").write_bytes(CONTENT[::-1])
    assert "wrong hash" in refused()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folders: tuple[Path, Path, Path]) -> None:
    """A missing right is a problem of this machine, not of the file."""
    (folders[0] / "net.pth").write_bytes(CONTENT)
    (folders[0] / "net.pth").chmod(0)
    assert "cannot be read" in refused(EnvironmentProblem)


def test_a_hash_may_be_written_in_capitals(tmp_path: Path) -> None:
    """Some tools print it so."""
    path = tmp_path / "own.pth"
    path.write_bytes(CONTENT)
    verify_hash(path, sha256=FILE.sha256.upper(), remedy="")
    with pytest.raises(DataError, match="wrong hash"):
        verify_hash(path, sha256="0" * 64, remedy="")
