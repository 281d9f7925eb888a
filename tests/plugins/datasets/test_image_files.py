"""Folders and zip archives list their images, and lead nobody astray."""

import errno
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dddm.errors import DataError
from dddm_datasets.image_files import FolderFiles, ZipFiles

CONTENTS = {
    "b/2.PNG": b"two", "a/1.jpg": b"one", "a/deep/3.webp": b"three", "a/notes.txt": b"n",
    ".hidden/4.png": b"four", "a/._1.jpg": b"fork",
}  # fmt: skip
NAMES = ("a/1.jpg", "a/deep/3.webp", "b/2.PNG")


def folder(place: Path) -> FolderFiles:
    for name, data in CONTENTS.items():
        path = place / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return FolderFiles(path=place / "folder")


def archive(place: Path) -> ZipFiles:
    with zipfile.ZipFile(place / "a.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in CONTENTS.items():
            made.writestr(name, data)
    return ZipFiles(path=place / "a.zip")


@pytest.mark.parametrize("make", [folder, archive])
def test_images_are_listed_and_read(
    make: Callable[[Path], FolderFiles | ZipFiles], tmp_path: Path
) -> None:
    """In order of name; hidden files are nothing, other files are counted."""
    files = make(tmp_path)
    listing = files.listing()
    assert listing.names == NAMES
    assert listing.skipped == 1
    assert files.read("a/deep/3.webp") == b"three"
    assert "3.webp" in files.location("a/deep/3.webp")


@pytest.mark.parametrize("kind", [FolderFiles, ZipFiles])
def test_a_missing_place_is_named(kind: type[FolderFiles | ZipFiles], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such") as refused:
        kind(path=tmp_path / "none").listing()
    assert refused.value.where == str(tmp_path / "none")


def test_a_change_shows_in_the_identity(tmp_path: Path) -> None:
    files = folder(tmp_path)
    path = files.path / "a" / "1.jpg"
    seen = [files.identity()]
    path.write_bytes(b"longer")
    seen.append(files.identity())
    os.utime(path, ns=(1, 1))
    seen.append(files.identity())
    path.rename(path.with_name("0.jpg"))
    seen.append(files.identity())
    assert all(seen[k] != seen[k + 1] for k in range(3))
    assert files.identity() == seen[-1]


def test_links_must_stay_inside(tmp_path: Path) -> None:
    """To an image within the folder they are followed; all others are named."""
    files = folder(tmp_path)
    (files.path / "b" / "5.png").symlink_to(files.path / "b" / "2.PNG")
    assert "b/5.png" in files.listing().names
    (tmp_path / "secret.png").write_bytes(b"")
    for target, says in (
        (tmp_path / "secret.png", "out of the folder"), (files.path / "a", "to a folder"),
        (tmp_path, "to a folder"), (files.path / "none.png", "leads nowhere"),
    ):  # fmt: skip
        link = files.path / "c.png"
        link.symlink_to(target)
        with pytest.raises(DataError, match=says) as refused:
            files.listing()
        assert refused.value.where == str(link)
        link.unlink()


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "C:/a.png"])
def test_names_that_lead_out_of_an_archive_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(name, b"")
    with pytest.raises(DataError, match="leads out of it") as refused:
        ZipFiles(path=tmp_path / "a.zip").listing()
    assert name in str(refused.value.where)


def test_links_and_encryption_in_an_archive_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(link, b"/etc/passwd")
    with pytest.raises(DataError, match="holds a link"):
        ZipFiles(path=tmp_path / "a.zip").listing()
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as made:
        made.writestr("a.png", b"data")
    data = bytearray((tmp_path / "b.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        ZipFiles(path=tmp_path / "b.zip").listing()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="this zip archive cannot be read"):
        ZipFiles(path=tmp_path / "a.zip").listing()


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without permission, or if it vanishes; and one that is nested without end."""
    files = folder(tmp_path)
    deep = files.path / "/".join(["d"] * 80)
    deep.mkdir(parents=True)
    with pytest.raises(DataError, match="nested more than 64 deep"):
        files.listing()
    shutil.rmtree(files.path / "d")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "deep":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be listed: Permission denied") as refused:
        files.listing()
    assert refused.value.where == str(files.path / "a" / "deep")


def test_an_empty_name_in_an_archive_is_refused(tmp_path: Path) -> None:
    """Damage can make one, which zipfile does not expect."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("a.png", b"")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    directory, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    data[directory + 28] = 0
    data[end + 12] -= len("a.png")
    del data[directory + 46 : directory + 46 + len("a.png")]
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="a name in this archive is empty"):
        ZipFiles(path=tmp_path / "a.zip").listing()
