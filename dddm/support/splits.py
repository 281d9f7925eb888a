"""Holds images out of a data set that ships without a held-out split."""

import numpy as np
import numpy.typing as npt


def hold_out_evenly(
    labels: npt.NDArray[np.int64], *, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ascending indices to train on, and `count` ascending indices to hold out.

    Images are sorted by class, keeping their order within a class, and held out at equal distances.
    So every class contributes its share to within one image, and so does every stretch of the
    shipped order, which often follows writers, scenes or dates.  Nothing is random.

    Args:
        labels: (N,), the class of each image.
        count: number to hold out, 0…N.
    """
    by_class = np.argsort(labels, kind="stable")
    places = (2 * np.arange(count) + 1) * len(labels) // (2 * max(count, 1))
    held_out = np.sort(by_class[places])
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
