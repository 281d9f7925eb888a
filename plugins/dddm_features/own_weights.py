"""Files of weights of the user's own, which are used only with their hash.  Imports no torch."""

from collections.abc import Iterator
from pathlib import Path

from dddm.errors import DataError
from dddm.interfaces.plugin import Issue
from dddm.support.files import sha256_of
from dddm.support.weights import verify_hash


def check_own_weights(*, weights: str | None, sha256: str | None) -> Iterator[Issue]:
    """The options `weights` and `weights_sha256` go together, and the second is a SHA-256."""
    if (weights is None) != (sha256 is None):
        missing = "weights" if weights is None else "weights_sha256"
        yield Issue(
            option=missing,
            what="weights and weights_sha256 go together",
            remedy=f"write {missing} too, or leave both out",
        )
    if sha256 is not None and not _is_sha256(sha256):
        yield Issue(
            option="weights_sha256",
            what=f"{sha256!r} is no SHA-256: that has 64 hexadecimal digits",
            remedy="write what `sha256sum FILE` prints",
        )


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")  # noqa: PLR2004 - 256 bits


def own_file(weights: str, *, sha256: str | None) -> Path:
    """The file at the path `weights`, verified.

    Raises:
        DataError: if it is not there, or another than its hash says.
    """
    path = Path(weights).expanduser()
    if not path.is_file():
        raise DataError(
            f"there is no file {weights}",
            where=str(path.absolute()),
            remedy="correct weights, or leave it and weights_sha256 out",
        )
    if sha256 is None:
        raise DataError(
            "weights of one's own are used only with their hash",
            where=str(path.absolute()),
            remedy=f"write weights_sha256 = {sha256_of(path)!r} if this is the right file",
        )
    verify_hash(path, sha256=sha256, remedy="correct weights_sha256 or weights")
    return path
