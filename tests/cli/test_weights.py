"""`dddm weights`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from file_server import serving
from weighty import CONTENTS, weighty_catalogue

from dddm.cli.weights import weights
from dddm.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first folder that is looked in: empty at first."""
    monkeypatch.setenv("DDDM_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def call(*words: str | Path, url: str = "https://example.org/") -> Result:
    catalogue = weighty_catalogue(url=url)
    return CliRunner().invoke(weights, [*map(str, words)], obj={"catalogue": catalogue})


def test_the_list_says_who_needs_what_and_where_it_is(folder: Path) -> None:
    """Bytes, components, the place or that there is none, and where was looked."""
    (folder / "small.pth").write_bytes(b"anything")
    lines = call("list").stdout.splitlines()
    assert lines == [
        "large.pth  9 bytes, for metric toy:net",
        "  not found",
        "small.pth  5 bytes, for features toy:deep, metric toy:net",
        f"  {folder / 'small.pth'}",
        f"searched: {folder}, {folder.parent / 'torch' / 'hub' / 'checkpoints'}",
    ]


def test_the_list_as_json(folder: Path) -> None:
    """For programs: all that a download by other means needs."""
    facts: Any = json.loads(call("list", "--json").stdout)
    assert facts["folders"][0] == str(folder)
    large = facts["files"][0]
    assert large["url"] == "https://example.org/large.pth"
    assert (large["bytes"], large["found"], len(large["sha256"])) == (9, [], 64)


def test_verify_without_names_accepts_what_is_missing(folder: Path) -> None:
    """Nobody needs every file; but one that is there must be right."""
    (folder / "small.pth").write_bytes(CONTENTS["small.pth"])
    done = call("verify")
    assert done.exception is None
    assert done.stdout.splitlines() == [
        "not found  large.pth", f"ok         {folder / 'small.pth'}",
    ]  # fmt: skip
    (folder / "large.pth").write_bytes(b"wrong one")
    done = call("verify")
    assert isinstance(done.exception, DataError)
    assert "wrong hash" in str(done.exception)
    assert done.stdout.splitlines()[0] == f"wrong      {folder / 'large.pth'}"


def test_verify_refuses_a_named_file_that_is_missing() -> None:
    """Who names a file wants it; the exit code is that of data."""
    done = call("verify", "small.pth", "--json")
    assert isinstance(done.exception, DataError)
    assert done.exception.exit_code == 7
    assert json.loads(done.stdout) == [{"name": "small.pth", "state": "not found", "path": None}]


def test_fetch_puts_a_file_where_it_is_looked_for(folder: Path) -> None:
    """Its path is printed, and `verify` then accepts it."""
    with serving(CONTENTS["small.pth"]) as served:
        done = call("fetch", "small.pth", url=served.url.removesuffix("weights.pth"))
    assert done.exception is None, done.output
    assert done.stdout.splitlines()[-1] == str(folder / "small.pth")
    assert call("verify", "small.pth").exception is None


def test_fetch_says_when_dddm_does_not_look_there(tmp_path: Path) -> None:
    """A file in another folder is of use only with the variable set."""
    with serving(CONTENTS["small.pth"]) as served:
        url = served.url.removesuffix("weights.pth")
        done = call("fetch", "small.pth", "--to", tmp_path / "else", url=url)
    assert (tmp_path / "else" / "small.pth").read_bytes() == CONTENTS["small.pth"]
    assert f"DDDM_WEIGHTS={tmp_path / 'else'}" in done.stderr


def test_an_unknown_name_is_refused() -> None:
    done = call("fetch", "smal.pth")
    assert isinstance(done.exception, UsageError)
    assert "did you mean small.pth?" in str(done.exception)
