"""Files of weights are fetched whole, verified, and gone on with after an interruption."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from file_server import Served, serving

from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.plugin import WeightFile
from dddm.support.download import fetch

CONTENT = bytes(range(256)) * 20_000  # five pieces of a megabyte


@pytest.fixture
def server() -> Iterator[Served]:
    with serving(CONTENT) as served:
        yield served


def file_at(url: str, *, content: bytes = CONTENT) -> WeightFile:
    digest = hashlib.sha256(content).hexdigest()
    return WeightFile(name="w.pth", url=url, size_bytes=len(content), sha256=digest)


def test_a_file_is_fetched_whole(server: Served, tmp_path: Path) -> None:
    """It has its name and content, nothing lies beside it, and its progress was told in order."""
    told: list[int] = []
    path = fetch(file_at(server.url), folder=tmp_path / "new" / "folder", progress=told.append)
    assert path == tmp_path / "new" / "folder" / "w.pth"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["w.pth"]
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


def test_a_right_file_is_left_alone(server: Served, tmp_path: Path) -> None:
    """The server is not asked."""
    (tmp_path / "w.pth").write_bytes(CONTENT)
    fetch(file_at(server.url), folder=tmp_path)
    assert server.asked == []


def test_a_wrong_file_is_replaced(server: Served, tmp_path: Path) -> None:
    """Who asks for a file gets the right one."""
    (tmp_path / "w.pth").write_bytes(b"old")
    fetch(file_at(server.url), folder=tmp_path)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False], ids=["goes on", "begins anew"])
def test_an_interrupted_download_goes_on(server: Served, tmp_path: Path, *, ranges: bool) -> None:
    """Where the server allows it, only the rest is asked for; elsewhere all comes again."""
    server.cut_after, server.ranges = 1_500_000, ranges
    with pytest.raises(EnvironmentProblem, match="ended 3,620,000 bytes before the end"):
        fetch(file_at(server.url), folder=tmp_path)
    server.cut_after = None
    told: list[int] = []
    path = fetch(file_at(server.url), folder=tmp_path, progress=told.append)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["", "bytes=1500000-"]
    assert told[0] == (1_500_000 if ranges else 0)


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT[:-1], CONTENT + b"x"])
def test_another_file_is_not_kept(tmp_path: Path, content: bytes) -> None:
    """A file of another hash or size never gets the name, and is not gone on with."""
    with serving(content) as served:
        with pytest.raises(DataError, match=r"wrong (hash|size)"):
            fetch(file_at(served.url), folder=tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_a_remainder_longer_than_the_servers_file_is_dropped(
    server: Served, tmp_path: Path
) -> None:
    """The next call begins anew, instead of asking for the same impossible part for ever."""
    server.content = CONTENT[:10]
    (tmp_path / "w.pth.part").write_bytes(CONTENT[:100])
    with pytest.raises(EnvironmentProblem, match="416"):
        fetch(file_at(server.url), folder=tmp_path)
    server.content = CONTENT
    assert fetch(file_at(server.url), folder=tmp_path).read_bytes() == CONTENT


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """No traceback, and what to do instead."""
    with serving(CONTENT) as served:
        url = served.url
    with pytest.raises(EnvironmentProblem, match="could not be fetched") as caught:
        fetch(file_at(url), folder=tmp_path)
    assert "other means" in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.org/w", "ftp://127.0.0.1/w", "file:///etc/hosts"])
def test_other_roads_are_refused(tmp_path: Path, url: str) -> None:
    """Only https leads here, and http from this machine."""
    with pytest.raises(DataError, match="https"):
        fetch(file_at(url), folder=tmp_path)


def test_a_file_made_by_hand_is_not_fetched(server: Served, tmp_path: Path) -> None:
    """Where the URL is a page about it, the error says how the file is made; nothing is asked."""
    file = attrs.evolve(file_at(server.url), instructions="bake it")
    with pytest.raises(DataError, match="cannot be downloaded") as refused:
        fetch(file, folder=tmp_path / "new")
    assert refused.value.remedy == "bake it"
    assert not (tmp_path / "new").exists()
