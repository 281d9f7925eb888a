"""Images, archives and arrays may come from anyone: sizes are limited while they are read."""

import io
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dddm.data.source import LeftOut
from dddm.errors import DataError
from dddm.interfaces.data_report import Problem
from dddm.support.files import user_path
from dddm_datasets.cifar10 import Cifar10Source
from dddm_datasets.image_decode import ImageError, decode, read_size
from dddm_datasets.image_files import FolderFiles, ZipFiles
from dddm_datasets.image_source import ImageSource
from dddm_datasets.imagenet64 import ImageNet64Source
from dddm_datasets.npz import NpzSource
from dddm_datasets.options import ImageFilesOptions, NpzOptions

MEGABYTES = 700
"""What reading a bad file may take, with Python, numpy and Pillow."""


def png(width: int = 4, height: int = 4) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), (1, 2, 3)).save(data, "PNG")
    return data.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int, *, unpacked: int) -> bytes:
    """A PNG whose header claims a size, and whose data unpack to so many bytes."""
    packer = zlib.compressobj()
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(unpacked >> 20))
    body += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def npy_header(shape: tuple[int, ...], *, descr: str = "|u1", fortran_order: bool = False) -> bytes:
    data = io.BytesIO()
    values = {"descr": descr, "fortran_order": fortran_order, "shape": shape}
    np.lib.format.write_array_header_1_0(data, values)
    return data.getvalue()


def write_zeros(archive: zipfile.ZipFile, name: str, size: int, head: bytes = b"") -> None:
    """A member of zeros, deflated a piece at a time."""
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
        member.write(head)
        for first in range(0, size, 1 << 24):
            member.write(bytes(min(1 << 24, size - first)))


def deflated(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)


def change_directory(path: Path, *, name: str, size: int) -> None:
    """Let the archive's directory and local header say that a member unpacks to `size` bytes."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            start = at + (46 if offset == 24 else 30)
            if data[start : start + len(name)] == name.encode():
                data[at + offset : at + offset + 4] = struct.pack("<I", size)
    path.write_bytes(data)


def bomb_png(folder: Path) -> ImageSource:
    """23,000² pixels."""
    data = png_of_zeros(23_000, 23_000, unpacked=1 << 26)
    return images(folder, {"a/0.png": data, "a/1.png": png()})


def lying_png(folder: Path) -> ImageSource:
    """A header of four pixels before a gigabyte."""
    return images(folder, {"a/0.png": png_of_zeros(2, 2, unpacked=1 << 30), "a/1.png": png(2, 2)})


def large_png(folder: Path) -> ImageSource:
    """As many pixels as are allowed, with transparency, which are then reduced."""
    data = io.BytesIO()
    Image.new("LA", (8192, 8192), (9, 9)).save(data, "PNG", compress_level=1)
    return images(folder, {"a/0.png": data.getvalue()}, size=4)


def large_sixteen_bits(folder: Path) -> ImageSource:
    data = io.BytesIO()
    Image.new("I;16", (8192, 8192), 7).save(data, "PNG", compress_level=1)
    return images(folder, {"a/0.png": data.getvalue()}, size=4)


def images(folder: Path, contents: dict[str, bytes], **options: Any) -> ImageSource:
    for name, data in contents.items():
        (folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "root" / name).write_bytes(data)
    chosen = ImageFilesOptions(path=str(folder / "root"), **options)
    return ImageSource(files=FolderFiles(path=folder / "root"), options=chosen)


def zipped(folder: Path, **options: Any) -> ImageSource:
    chosen = ImageFilesOptions(path=str(folder / "a.zip"), **options)
    return ImageSource(files=ZipFiles(path=folder / "a.zip"), options=chosen)


def bomb_in_zip(folder: Path) -> ImageSource:
    """A member of zeros, declared as what it is."""
    with deflated(folder / "a.zip") as archive:
        write_zeros(archive, "a/0.png", 1 << 29)
        archive.writestr("a/1.png", png())
    return zipped(folder)


def lying_zip(folder: Path) -> ImageSource:
    """A member that unpacks to 800 MB, declared as 1,000 bytes, and one the other way round."""
    with deflated(folder / "a.zip") as archive:
        archive.writestr("a/0.png", bytes(800 << 20))
        archive.writestr("a/1.png", png())
        archive.writestr("a/2.png", b"small")
    change_directory(folder / "a.zip", name="a/0.png", size=1000)
    change_directory(folder / "a.zip", name="a/2.png", size=0xFFFF_FFF0)
    return zipped(folder)


def other_compression(folder: Path) -> ImageSource:
    """bzip2 and LZMA unpack a piece of any size at once."""
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a/0.png", bytes(1 << 20))
        archive.writestr("a/1.png", png(), zipfile.ZIP_DEFLATED)
        archive.writestr("a/2.png", bytes(1 << 20), zipfile.ZIP_LZMA)
    return zipped(folder)


def npz(folder: Path, members: dict[str, tuple[bytes, int]]) -> NpzSource:
    with deflated(folder / "a.npz") as archive:
        for name, (head, size) in members.items():
            write_zeros(archive, name, size, head)
    return NpzSource(options=NpzOptions(path=str(folder / "a.npz")))


def large_labels(folder: Path) -> NpzSource:
    """A gigabyte of labels in one megabyte, for as many images of one pixel."""
    rows = 1 << 27
    return npz(
        folder,
        {
            "images.npy": (npy_header((rows, 1, 1, 1)), rows),
            "labels.npy": (npy_header((rows,), descr="<i8"), 8 * rows),
        },
    )


def large_row(folder: Path) -> NpzSource:
    """One image of 23,000²."""
    return npz(folder, {"images.npy": (npy_header((1, 23_000, 23_000, 1)), 23_000**2)})


def large_fortran(folder: Path) -> NpzSource:
    head = npy_header((1 << 14, 100, 100, 1), fortran_order=True)
    return npz(folder, {"images.npy": (head, 10_000 << 14)})


def long_header(folder: Path) -> NpzSource:
    """A header of half a gigabyte of spaces."""
    head = b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 29)
    return npz(folder, {"images.npy": (head, 1 << 29)})


def claimed(rows: int) -> Callable[[Path], NpzSource]:
    """An array that says it has more rows than it has, or less than none."""
    return lambda folder: npz(folder, {"images.npy": (npy_header((rows, 2, 2, 1)), 40)})


def impossible_size(folder: Path) -> NpzSource:
    """Header and directory agree on 201 MB, of which the archive has 40 bytes."""
    shape = (1 << 20, 8, 8, 3)
    source = npz(folder, {"images.npy": (npy_header(shape), 40)})
    change_directory(folder / "a.npz", name="images.npy", size=128 + (192 << 20))
    return source


def deep_header(folder: Path) -> NpzSource:
    text = b"(" * 9000 + b"\n"
    return npz(folder, {"images.npy": (b"\x93NUMPY\x01\x00" + struct.pack("<H", 9001) + text, 4)})


ATTACKS: dict[str, tuple[Callable[[Path], ImageSource | NpzSource], str]] = {
    # the file, and the words of the error or of the first problem
    "png bomb": (bomb_png, "more pixels than the limit"),
    "png lies": (lying_png, ""),
    "largest png": (large_png, ""),
    "largest 16 bits": (large_sixteen_bits, ""),
    "zip bomb": (bomb_in_zip, "536,870,912 bytes"),
    "zip lies": (lying_zip, "CRC"),
    "zip by bzip2": (other_compression, "compressed by method 12"),
    "labels": (large_labels, "134,217,728 rows"),
    "row": (large_row, "rows of 529,000,000 bytes"),
    "fortran": (large_fortran, "ascontiguousarray"),
    "header": (long_header, "cannot be read"),
    "2^40": (claimed(2**40), "is declared as"),
    "2^62": (claimed(2**62), "is declared as"),
    "-1": (claimed(-1), "negative"),
    "0": (claimed(0), "is declared as"),
    "impossible": (impossible_size, "more than the archive can hold of it"),
    "deep": (deep_header, "cannot be read"),
}


def outcome(source: ImageSource | NpzSource) -> str:
    """All problems of a source, or the error that it ends with."""
    try:
        found = [found for piece in source.plan().chunks for found in source.decode(piece)]
    except DataError as error:
        return str(error)
    problems = [one.problem if isinstance(one, LeftOut) else one for one in found]
    return "\n".join(one.what for one in problems if isinstance(one, Problem))


@pytest.mark.parametrize("name", ATTACKS)
def test_memory_is_bounded(tmp_path: Path, name: str) -> None:
    """Every attack is refused in words, within seconds and a few hundred megabytes."""
    source = tmp_path / "source.pickle"
    source.write_bytes(pickle.dumps(ATTACKS[name][0](tmp_path)))
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__, str(source)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *said, numbers = done.stdout.strip().split("\n")
    assert ATTACKS[name][1] in "\n".join(said)
    megabytes, seconds = (float(part.split()[0]) for part in numbers.split(", "))
    assert megabytes < MEGABYTES, numbers
    assert seconds < 20, numbers


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_what_is_not_an_image_is_a_problem_of_its_name(tmp_path: Path, kind: str) -> None:
    """Whatever is in the file."""
    contents = {
        "a/0.png": b"",
        "a/1.png": png()[:40],
        "a/2.jpg": b"\xff\xd8" + b"\xff\xda\x00\x08" * 200,
        "a/3.tif": b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
        "a/4.webp": b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 40,
        "a/5.gif": b"GIF89a\xff\xff\xff\xff\0\0\0,",
        "a/6.png": png(),
    }
    source = images(tmp_path, contents)
    if kind == "zip":
        with deflated(tmp_path / "a.zip") as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
        source = zipped(tmp_path)
    found = [one for piece in source.plan().chunks for one in source.decode(piece)]
    problems = [one for one in found if isinstance(one, Problem)]
    assert len(found) == len(contents)
    for one, name in zip(problems, sorted(contents)[:-1], strict=True):
        assert one.where.endswith(name)
    assert all(one.damaged for one in problems)


@pytest.mark.parametrize("scans", [100, 101])
def test_jpegs_of_many_scans_are_refused(scans: int) -> None:
    """Each goes over the whole image, so that a few kilobytes would take hours."""
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG")
    assert data.getvalue().count(b"\xff\xda") == 1
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 2 * (scans - 1)) + b"\xff\xda" * (scans - 1)
    many = data.getvalue()[:2] + comment + data.getvalue()[2:]
    if scans > 100:
        with pytest.raises(ImageError, match="more than 100 scans"):
            decode(many, grey=False, size=None)
    else:
        decode(many, grey=False, size=None)


def test_the_limit_of_pixels_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may have lifted Pillow's."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="67,108,864"):
        read_size(png_of_zeros(23_000, 23_000, unpacked=1 << 20))


def test_pipes_and_devices_are_not_images(tmp_path: Path) -> None:
    """They are named, neither read nor left out, and nothing waits for them."""
    (tmp_path / "root" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / "root" / "a" / "0.png")
    (tmp_path / "root" / "a" / "1.png").write_bytes(png())
    source = images(tmp_path, {}, damaged="skip")
    start = time.monotonic()
    assert "it is a named pipe, not a file" in outcome(source)
    assert time.monotonic() - start < 2
    found = [one for piece in source.plan().chunks for one in source.decode(piece)]
    assert not any(isinstance(one, LeftOut) for one in found)


def test_circles_of_links_are_named(tmp_path: Path) -> None:
    """A link to itself, and two to each other; a link to a folder around them is refused too."""
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "1.png").write_bytes(png())
    for target in ("0.png", "2.png", "..", "."):
        link = root / "a" / "0.png"
        link.symlink_to(target)
        if target == "2.png":
            (root / "a" / "2.png").symlink_to("0.png")
        with pytest.raises(DataError, match=r"a link leads (in a circle|to a folder)"):
            images(tmp_path, {}).plan()
        link.unlink()
        (root / "a" / "2.png").unlink(missing_ok=True)


@pytest.mark.parametrize("name", [b"a/\xff.png", b"\xff/a.png"])
def test_names_must_be_utf_8(tmp_path: Path, name: bytes) -> None:
    """Those of images and of classes; other files may be called anything."""
    root = os.fsencode(tmp_path / "root")
    path = Path(os.fsdecode(root + b"/" + name))
    images(tmp_path, {"a/1.png": png()})
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".txt").write_bytes(b"")
    images(tmp_path, {}).plan()
    path.write_bytes(png())
    with pytest.raises(DataError, match="is not UTF-8") as refused:
        images(tmp_path, {}).plan()
    assert "\\udcff" in str(refused.value)
    assert str(refused.value).encode()


@pytest.mark.parametrize("path", ["a" * 5000, "~nobody-of-this-name/x", "/dev/zero", "x\0y"])
def test_no_path_is_a_bug(path: str) -> None:
    """Names that no file can have, homes that nobody has, and devices."""
    for files in (FolderFiles(path=user_path(path)), ZipFiles(path=user_path(path))):
        source = ImageSource(files=files, options=ImageFilesOptions(path=path))
        assert not source.exists() or path == "/dev/zero"
        with pytest.raises(DataError, match="there is no such"):
            source.plan()
    for data in (
        NpzSource(options=NpzOptions(path=path)),
        Cifar10Source(path=path),
        ImageNet64Source(path=path, subset=True),
    ):
        assert not data.exists()
        with pytest.raises(DataError):
            data.identity()


if __name__ == "__main__":  # in a process of its own, whose memory is measured
    began = time.monotonic()
    print(outcome(pickle.loads(Path(sys.argv[1]).read_bytes())))  # noqa: S301, T201 - our own
    # ru_maxrss would be that of the process that started this one, if that is larger.
    most = (
        max(
            int(line.split()[1])
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        / 1024
    )
    print(f"{most:.0f} MB, {time.monotonic() - began:.1f} s")  # noqa: T201 - for the test
