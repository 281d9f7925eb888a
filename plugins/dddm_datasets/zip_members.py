"""Members of a zip archive, within what its bytes can hold.  Imports no torch.

An archive's directory may say anything of sizes, and a member may unpack to a thousand times its
size, so that nothing is allocated by what it says: members are read in pieces.
"""

import zipfile
from typing import IO, Final

_PIECE_BYTES: Final = 1 << 20
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Others unpack to any size at once, whatever part of it is asked for."""
_HIGHEST_RATIO: Final = 1032
"""Of deflate: two bits stand for at most 258 bytes."""
_SLACK_BYTES: Final = 258


def refuse_impossible(info: zipfile.ZipInfo, *, archive_bytes: int) -> None:
    """Check what the directory says of a member against the size of the archive.

    Raises:
        ValueError: if no member can be so large, or it is compressed in an unusual way.
    """
    if info.compress_type not in _METHODS:
        raise ValueError(
            f"{info.filename} is compressed by method {info.compress_type}, and only deflate and "
            "none are read"
        )
    ratio = 1 if info.compress_type == zipfile.ZIP_STORED else _HIGHEST_RATIO
    if (
        info.header_offset + info.compress_size > archive_bytes
        or info.file_size > info.compress_size * ratio + _SLACK_BYTES * (ratio > 1)
    ):
        raise ValueError(
            f"{info.filename} is declared as {info.file_size:,} bytes, more than the archive can "
            "hold of it"
        )


def read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, archive_bytes: int, limit: int
) -> bytes:
    """A whole member.

    Args:
        archive_bytes: size of the archive.
        limit: number of bytes that the member may have.

    Raises:
        ValueError: if it has more, or is impossible.
        Exception: of many types if it is damaged; its CRC is verified.
    """
    refuse_impossible(info, archive_bytes=archive_bytes)
    if info.file_size > limit:
        raise ValueError(f"it unpacks to {info.file_size:,} bytes, and {limit:,} are the limit")
    with archive.open(info) as member:
        data = bytearray(info.file_size)
        fill(data, member)
        if member.read(1):  # never, but zipfile verifies the CRC at the end alone
            raise ValueError("it is larger than the archive says")
        return bytes(data)


def fill(buffer: bytearray | memoryview, member: IO[bytes]) -> None:
    """Read the next bytes of a member, as many as the buffer has, in pieces.

    Raises:
        ValueError: if it ends before.
    """
    view, at = memoryview(buffer), 0
    while at < len(view):
        piece = member.read(min(_PIECE_BYTES, len(view) - at))
        if not piece:
            raise ValueError("it ends too early")
        view[at : at + len(piece)] = piece
        at += len(piece)
