"""Images held out of a data set that ships no such split of its own."""

import numpy as np
import numpy.typing as npt


def hold_out_evenly(
    labels: npt.NDArray[np.int64], *, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices to train on and `count` indices to hold out, both ascending.

    The images are put in order of class, within a class in the order in which they are shipped,
    and `count` of them are taken at equal distances.  So every class is held out in its own
    share, to within one image, and so is every stretch of the shipped order, which often follows
    writers, scenes or dates.  No random number is drawn: the split is the same everywhere.

    Args:
        labels: (N,), one class an image.
        count: how many to hold out, 0…N.
    """
    by_class = np.argsort(labels, kind="stable")
    places = (2 * np.arange(count) + 1) * len(labels) // (2 * max(count, 1))
    held_out = np.sort(by_class[places])
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
