"""The list of a portable run's files: what it may name, and that it is believed in nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from dddm.errors import DataError
from dddm.training.portable import MANIFEST, changed_files, check_files, read_list, write_list

FILES = {
    "README.md": b"card",
    "recipe.toml": b"format = 2",
    "run.json": b"{}",
    "checkpoints/step-00000012/ema.safetensors": b"weights",
    "samples/fixed-time-1/samples.npz": b"images",
}


def make(folder: Path) -> Path:
    """A folder with these files, others beside them, and the list."""
    for name, contents in {**FILES, "events.jsonl": b"x", "checkpoints/model.pt": b"x"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    write_list(folder)
    return folder


def rewritten(folder: Path, **files: Any) -> Path:
    """The path of the list, with other entries; None removes one."""
    path = folder / MANIFEST
    contents = json.loads(path.read_text())
    for name, about in files.items():
        contents["files"][name] = about
        if about is None:
            del contents["files"][name]
    path.write_text(json.dumps(contents))
    return path


def test_known_files_are_listed(tmp_path: Path) -> None:
    """Those and no others, with sizes and hashes as other programs compute them."""
    files = read_list(make(tmp_path) / MANIFEST)
    assert set(files) == set(FILES)
    card = files["README.md"]
    assert card.bytes == 4
    # printf card | sha256sum
    assert card.sha256 == "8367cd66fdd136bba8ba23f8805bb050dd6289401c8ec3b0be44a3c233eef90d"
    check_files(tmp_path, files)


@pytest.mark.parametrize(
    "name",
    [
        "../README.md",
        "/etc/passwd",
        "checkpoints/../../run.json",
        "checkpoints/step-00000012/../../run.json",
        "samples/../recipe.toml/samples.npz",
        "samples/.hidden/samples.npz",
        "samples/*/samples.npz",
        "samples/a/b/samples.npz",
        "checkpoints/step-00000012/model.pkl",
        "checkpoints/step-12/ema.safetensors",
        "README.md\n",
        "sitecustomize.py",
        "",
    ],
)
def test_no_other_name_can_be_listed(tmp_path: Path, name: str) -> None:
    path = rewritten(make(tmp_path), **{name: {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(DataError, match="no file of a portable run"):
        read_list(path)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"bytes": 10**13, "sha256": "0"}, "at most"),
        ({"bytes": -1, "sha256": "0"}, "at most"),
        ({"bytes": "1", "sha256": "0"}, "'bytes' is a string"),
        ({"bytes": 1}, "'sha256' is missing"),
        ([1], "not an object"),
    ],
)
def test_entries_have_a_form_and_a_limit(tmp_path: Path, about: Any, says: str) -> None:
    name = "checkpoints/step-00000012/ema.safetensors"
    with pytest.raises(DataError, match=says):
        read_list(rewritten(make(tmp_path), **{name: about}))


def test_a_list_needs_a_recipe_and_a_format(tmp_path: Path) -> None:
    path = make(tmp_path) / MANIFEST
    with pytest.raises(DataError, match=r"does not list recipe\.toml"):
        read_list(rewritten(tmp_path, **{"recipe.toml": None}))
    path.write_text('{"format": 7, "files": {}}')
    with pytest.raises(DataError, match="its format is 7"):
        read_list(path)
    many = {f"samples/a{k}/grid.png": {"bytes": 1, "sha256": "0"} for k in range(1001)}
    path.write_text(json.dumps({"format": 1, "files": many}))
    with pytest.raises(DataError, match="1,001 files"):
        read_list(path)
    path.unlink()
    with pytest.raises(DataError, match="not a portable run"):
        read_list(path)


@pytest.mark.parametrize(
    ("contents", "says"),
    [(None, "is missing"), (b"weight", "6 bytes instead of 7"), (b"Weights", "was changed")],
)
def test_what_is_not_as_listed_is_found(tmp_path: Path, contents: bytes | None, says: str) -> None:
    """A file that is absent, cut short, or of the same size with another content."""
    files = read_list(make(tmp_path) / MANIFEST)
    path = tmp_path / "checkpoints/step-00000012/ema.safetensors"
    path.unlink() if contents is None else path.write_bytes(contents)
    with pytest.raises(DataError, match=says):
        check_files(tmp_path, files)
    (found,) = changed_files(tmp_path, files)
    assert says in found
