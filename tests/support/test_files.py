"""Files and folders are complete or absent."""

import errno
import os
import tracemalloc
from pathlib import Path

import pytest

from dddm.errors import EnvironmentProblem
from dddm.support.files import (
    atomic_directory,
    atomic_write,
    atomic_write_text,
    raise_on_disk_full,
    read_file,
)

REFUSALS = [
    (errno.ENOSPC, "no space left"),
    (errno.EDQUOT, "no space left"),
    (errno.EACCES, "cannot be written"),
    (errno.EPERM, "cannot be written"),
    (errno.EROFS, "cannot be written"),
]


FAILURES = [
    (OSError(errno.ENOSPC, "full"), EnvironmentProblem),
    (ValueError("ours"), ValueError),
    (KeyboardInterrupt(), KeyboardInterrupt),
]


def half_then_fail(aside: Path, error: BaseException) -> None:
    """Write the first half of a file, then fail."""
    aside.write_text("half", encoding="utf-8")
    raise error


@pytest.mark.parametrize(("number", "what"), REFUSALS)
def test_refusals_of_the_system_say_where_and_what_to_do(
    tmp_path: Path, number: int, what: str
) -> None:
    """A full disk or a missing right becomes an error with place and remedy."""
    with pytest.raises(EnvironmentProblem, match=what) as caught, raise_on_disk_full(tmp_path):
        raise OSError(number, os.strerror(number))
    assert caught.value.where == str(tmp_path)
    assert caught.value.remedy is not None


def test_other_errors_of_the_system_pass(tmp_path: Path) -> None:
    """What is not about space or rights is not called so."""
    with pytest.raises(FileNotFoundError), raise_on_disk_full(tmp_path):
        (tmp_path / "absent").read_text(encoding="utf-8")


def test_what_a_killed_write_left_is_no_obstacle(tmp_path: Path) -> None:
    """A part that a killed process left aside is overwritten, for files and folders."""
    (tmp_path / ".file.part").write_text("left over, and longer", encoding="utf-8")
    atomic_write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "new"

    (tmp_path / ".folder.part").mkdir()
    (tmp_path / ".folder.part" / "left over").touch()
    with atomic_directory(tmp_path / "folder") as aside:
        (aside / "new").touch()
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["new"]


def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Until the block ends the name is free; then files and subfolders are there."""
    path = tmp_path / "above" / "folder"
    with atomic_directory(path) as aside:
        (aside / "one").write_text("1", encoding="utf-8")
        (aside / "sub").mkdir()
        (aside / "sub" / "two").write_text("2", encoding="utf-8")
        assert not path.exists()
    assert (path / "one").read_text(encoding="utf-8") == "1"
    assert (path / "sub" / "two").read_text(encoding="utf-8") == "2"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    """A folder that exists is refused before anything is written, and keeps what it holds."""
    (tmp_path / "kept").touch()
    with pytest.raises(FileExistsError), atomic_directory(tmp_path):
        pytest.fail("the block must not be entered")
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Until the new file is complete the old one stands; no other file is left."""
    path = tmp_path / "a" / "b" / "file.txt"
    atomic_write_text(path, "old")

    def write(aside: Path) -> None:
        assert path.read_text(encoding="utf-8") == "old"
        aside.write_text("x̂ ← f\n", encoding="utf-8")

    atomic_write(path, write)
    assert path.read_bytes() == "x̂ ← f\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_a_failed_write_changes_nothing(
    tmp_path: Path, error: BaseException, seen: type[BaseException]
) -> None:
    """A full disk, a bug or Ctrl-C half-way leaves the old file, no folder and no partial files."""
    path = tmp_path / "file"
    atomic_write_text(path, "old")
    with pytest.raises(seen):
        atomic_write(path, lambda aside: half_then_fail(aside, error))
    with pytest.raises(seen), atomic_directory(tmp_path / "folder") as aside:
        half_then_fail(aside / "one", error)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    """Whatever its size is said to be: no more than the limit and one byte is asked for."""
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_file(path, limit=5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_file(path, limit=4)
    source = Path("/proc/self/maps")
    if source.exists():  # a regular file of no bytes, they say
        assert source.stat().st_size == 0
        with pytest.raises(OSError, match="larger than 10 bytes"):
            read_file(source, limit=10)


def test_large_files_are_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="larger than"):
            read_file(path, limit=1 << 16)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_devices_are_not_even_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Opening one may rewind a tape."""
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((Path("/dev/zero"), "a device"), (tmp_path / "pipe", "a named pipe")):
        with pytest.raises(OSError, match=f"it is {kind}, not a file"):
            read_file(path, limit=1)
