"""Which samples the page shows, and which real images beside them.

Where images have classes, a row is a class, and the real images stand in the same order.

Legend: N images of a set, B images shown.
"""

from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

MOST_ROWS: Final = 16
"""More classes than these do not get a row each: some of them do."""

_ROWS_OF_MANY: Final = 10
_COLUMNS: Final = 10
_FEWEST_COLUMNS: Final = 4
_MOST_UNSORTED: Final = 64


@final
@frozen(kw_only=True, eq=False)
class Choice:
    """Images to show in a grid.

    Attributes:
        index: their numbers in their set, (B,), int64, in the order in which they are shown.
        columns: images in a row; None leaves it to the grid.
        rows: the label of each row; empty where rows are no classes.
    """

    index: Tensor
    columns: int | None = None
    rows: tuple[int, ...] = ()


def choose_samples(*, images: int, label: Tensor | None) -> Choice:
    """The first samples of each class, a class a row; or the first ones as they come.

    Of more than `MOST_ROWS` classes ten at equal distances have a row, because neighbours in a
    list of classes are often alike.

    Args:
        images: N, at least 1.
        label: (N,), int64, or None.
    """
    if label is not None:
        classes, counts = torch.unique(label, return_counts=True)
        if len(classes) > MOST_ROWS:
            some = _evenly(torch.arange(len(classes)), _ROWS_OF_MANY)
            classes, counts = classes[some], counts[some]
        columns = min(_COLUMNS, int(counts.min()))
        if columns >= _FEWEST_COLUMNS:
            rows = [torch.nonzero(label == value).flatten()[:columns] for value in classes]
            return Choice(index=torch.cat(rows), columns=columns, rows=tuple(classes.tolist()))
    return Choice(index=torch.arange(min(images, _MOST_UNSORTED)))


def choose_real(*, images: int, label: Tensor | None, like: Tensor | None, count: int) -> Tensor:
    """Indices (B,), int64, of real images: of the classes that samples have, in their order.

    Within a class, or within all images where there are no classes, they are taken at equal
    distances, because data are often in order of writers, scenes or dates.

    Args:
        images: how many real images there are, at least 1.
        label: their labels, (images,), int64, or None.
        like: labels of the samples, (B,), int64; None for samples without classes.
        count: B.
    """
    if label is None or like is None:
        return _evenly(torch.arange(images), count)
    index_B = torch.empty(count, dtype=torch.int64)
    for value in torch.unique(like):
        here = like == value
        those = torch.nonzero(label == value).flatten()
        # A class without a real image is a contradiction that the page need not resolve.
        pool = those if len(those) else torch.arange(images)
        index_B[here] = _evenly(pool, int(here.sum()))
    return index_B


def _evenly(pool: Tensor, count: int) -> Tensor:
    """`count` of a pool, at equal distances; some of them repeatedly where it is too small."""
    return pool[(2 * torch.arange(count) + 1) * len(pool) // (2 * count)]
