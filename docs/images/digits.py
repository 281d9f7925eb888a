"""Makes `digits.png` for the README from finished runs of `digits` and `digits_drifting`.

python docs/images/digits.py runs/digits runs/digits-drifting
"""

import sys
from pathlib import Path

import torch
from panels import first_samples, sheet

from dddm.interfaces.plugin import NoOptions
from dddm.support.images import grid
from dddm_datasets.digits import Digits

ROWS, CLASSES = 6, 10
DIRECTLY_DENOISING = {
    "fixed-time-1": "directly denoising, 1 step",
    "fixed-time-10": "directly denoising, 10 steps",
    "fixed-time-100": "directly denoising, 100 steps",
    "annealed-10": "the same, annealed, 10 steps",
}


def real_digits() -> torch.Tensor:
    """Real ones, each class in a column of its own."""
    split = Digits(NoOptions()).splits()["train"]
    label = split.labels(torch.arange(len(split)))
    assert label is not None
    of_class = [(label == k).nonzero().flatten()[:ROWS] for k in range(CLASSES)]
    return split.images(torch.stack(of_class, dim=1).flatten())


def main(run: Path, drifting: Path) -> None:
    """Three panels in a row, two rows."""
    count = ROWS * CLASSES
    images = {
        caption: first_samples(run, name, count=count)
        for name, caption in DIRECTLY_DENOISING.items()
    }
    images["drifting, 1 step"] = first_samples(drifting, "fixed-time-1", count=count)
    images["real digits"] = real_digits()
    panels = {caption: grid(panel, columns=CLASSES) for caption, panel in images.items()}
    sheet(panels, columns=3).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
