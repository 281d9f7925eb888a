"""Content hash of a set of images.  Imports torch for type checking only, for worker processes."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def manifest_of(*, images: "Tensor", labels: "Tensor | None") -> str:
    """Hexadecimal SHA-256 of shape, images and labels, in their order.

    Args:
        images: (N, C, H, W), uint8.
        labels: (N,), int64; None if there are no classes.
    """
    return manifest_of_bytes(
        shape=images.shape,
        images=[images.contiguous().numpy().tobytes()],
        labels=None if labels is None else labels.contiguous().numpy().astype("<i8").tobytes(),
    )


def manifest_of_bytes(
    *, shape: Sequence[int], images: Iterable[bytes | memoryview], labels: bytes | None
) -> str:
    """The same for images that are read in pieces.

    Args:
        shape: (N, C, H, W).
        images: N·C·H·W bytes in C order, split anywhere.
        labels: N little-endian int64; None if there are no classes.
    """
    digest = hashlib.sha256(f"uint8 {tuple(shape)}\n".encode())
    for piece in images:
        digest.update(piece)
    digest.update(b"\nno labels" if labels is None else b"\nint64 labels\n")
    if labels is not None:
        digest.update(labels)
    return digest.hexdigest()
