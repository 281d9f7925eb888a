"""scikit-learn's digits: 1,797 real handwritten digits, 8×8, grey, which ship in its package.

They are the test part of E. Alpaydin and C. Kaynak's *Optical Recognition of Handwritten Digits*
(UCI, 1998), written by 13 people.  The shipped order follows the writers, so that cutting off its
tail would hold out people whom training never saw; instead every class and every stretch of the
order gives its share (`hold_out_evenly`).
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Final, final

import numpy as np
import torch

from dddm.data.in_memory_split import InMemorySplit
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.plugin import NoOptions
from dddm.support.splits import hold_out_evenly

HELD_OUT_IMAGES: Final = 297
"""What 1,500 training images leave of 1,797."""

_HIGHEST_VALUE = 16


@final
class Digits(Dataset):
    """Splits `train` (1,500 images) and `held-out` (297); classes "0"…"9"."""

    def __init__(self, options: NoOptions) -> None:
        """Nothing is read before `splits` is asked for."""
        del options

    def splits(self) -> Mapping[str, Split]:
        """`train` and `held-out`."""
        return self._splits

    @cached_property
    def _splits(self) -> Mapping[str, Split]:
        # It takes a second to import, and listing or checking recipes must not pay for it.
        from sklearn.datasets import load_digits

        shipped = load_digits()
        names = tuple(str(name) for name in shipped.target_names)
        levels_NHW = shipped.images.astype(np.int64)
        # round(v·255/16); v = 8, the one tie, goes up.
        grey_NHW = (levels_NHW * 255 + _HIGHEST_VALUE // 2) // _HIGHEST_VALUE
        images_NCHW = torch.from_numpy(grey_NHW.astype(np.uint8)).unsqueeze(1)
        labels_N = torch.from_numpy(shipped.target.astype(np.int64))
        train, held_out = hold_out_evenly(labels_N.numpy(), count=HELD_OUT_IMAGES)
        return {
            name: InMemorySplit(
                all_images=images_NCHW[torch.from_numpy(index)],
                all_labels=labels_N[torch.from_numpy(index)],
                class_names=names,
            )
            for name, index in (("train", train), ("held-out", held_out))
        }
