"""One number that tells two sets of images apart."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # packing images in other processes must not wait for torch
    from torch import Tensor


def manifest_of(*, images: "Tensor", labels: "Tensor | None") -> str:
    """SHA-256, in hexadecimal, over the shape, the images and the labels, in their order.

    Args:
        images: (N, C, H, W), uint8.
        labels: (N,), int64; None where there are no classes.
    """
    return manifest_of_bytes(
        shape=images.shape,
        images=[images.contiguous().numpy().tobytes()],
        labels=None if labels is None else labels.contiguous().numpy().astype("<i8").tobytes(),
    )


def manifest_of_bytes(
    *, shape: Sequence[int], images: Iterable[bytes | memoryview], labels: bytes | None
) -> str:
    """The same of images that come in pieces.

    Args:
        shape: (N, C, H, W).
        images: N·C·H·W bytes in C order, cut anywhere.
        labels: N little-endian int64; None where there are no classes.
    """
    digest = hashlib.sha256(f"uint8 {tuple(shape)}\n".encode())
    for piece in images:
        digest.update(piece)
    digest.update(b"\nno labels" if labels is None else b"\nint64 labels\n")
    if labels is not None:
        digest.update(labels)
    return digest.hexdigest()
