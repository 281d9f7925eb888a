"""Makes `digits.png` for the README from a finished run of the recipe `digits`.

python docs/images/digits.py runs/digits
"""

import sys
from pathlib import Path

import torch
from panels import first_samples, sheet

from dddm.interfaces.plugin import NoOptions
from dddm.support.pictures import grid
from dddm_datasets.digits import Digits

ROWS, CLASSES = 6, 10
PANELS = {
    "fixed-time-1": "1 step",
    "fixed-time-2": "2 steps",
    "fixed-time-10": "10 steps",
    "fixed-time-100": "100 steps",
    "annealed-10": "annealed, 10 steps",
}


def real_digits() -> torch.Tensor:
    """Real ones, each class in a column of its own."""
    split = Digits(NoOptions()).splits()["train"]
    label = split.labels(torch.arange(len(split)))
    assert label is not None
    of_class = [(label == k).nonzero().flatten()[:ROWS] for k in range(CLASSES)]
    return split.images(torch.stack(of_class, dim=1).flatten())


def main(run: Path) -> None:
    """Three panels in a row, two rows."""
    images = {
        caption: first_samples(run, name, count=ROWS * CLASSES) for name, caption in PANELS.items()
    }
    images["real digits"] = real_digits()
    panels = {
        caption: grid(images_NCHW, columns=CLASSES) for caption, images_NCHW in images.items()
    }
    sheet(panels, columns=3).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
