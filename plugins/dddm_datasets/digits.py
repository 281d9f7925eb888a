"""scikit-learn's digits: 1,797 handwritten digits, 8×8, grey, which ship with the package.

They are the test part of E. Alpaydin and C. Kaynak's *Optical Recognition of Handwritten Digits*
(UCI, 1998), written by 13 people.  The shipped order follows the writers: its tail
holds people that training would never see, so images are held out evenly (`hold_out_evenly`).
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
"""Leaves 1,500 of 1,797 to train on."""

_HIGHEST_VALUE = 16


@final
class Digits(Dataset):
    """Splits `train` (1,500 images) and `held-out` (297); classes "0"…"9"."""

    def __init__(self, options: NoOptions) -> None:
        del options

    def splits(self) -> Mapping[str, Split]:
        return self._splits

    @cached_property
    def _splits(self) -> Mapping[str, Split]:
        # Here, because it takes a second to import, which listing or checking recipes must not pay.
        from sklearn.datasets import load_digits

        shipped = load_digits()
        levels_NHW = shipped.images.astype(np.int64)
        # round(v·255/16); v = 8, the only tie, goes up.
        grey_NHW = (levels_NHW * 255 + _HIGHEST_VALUE // 2) // _HIGHEST_VALUE
        images_NCHW = torch.from_numpy(grey_NHW.astype(np.uint8)).unsqueeze(1)
        labels_N = torch.from_numpy(shipped.target.astype(np.int64))
        train, held_out = hold_out_evenly(labels_N.numpy(), count=HELD_OUT_IMAGES)
        return {
            name: InMemorySplit(
                all_images=images_NCHW[torch.from_numpy(index)],
                all_labels=labels_N[torch.from_numpy(index)],
                class_names=tuple(str(name) for name in shipped.target_names),
            )
            for name, index in (("train", train), ("held-out", held_out))
        }
