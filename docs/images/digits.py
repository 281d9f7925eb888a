"""Makes `digits.png` for the README from finished runs of the recipes for digits.

python docs/images/digits.py runs
"""

import sys
from pathlib import Path

import torch
from panels import first_samples, sheet

from dddm.interfaces.plugin import NoOptions
from dddm.support.images import grid
from dddm_datasets.digits import Digits

ROWS, CLASSES = 4, 10
PANELS = {
    "directly denoising, 1 step": ("digits", "fixed-time-1"),
    "the same, annealed, 10 steps": ("digits", "annealed-10"),
    "denoising (EDM), 1 step": ("digits-denoising", "ddim-1"),
    "denoising (EDM), 20 steps": ("digits-denoising", "ddim-20"),
    "consistency (iCT), 1 step": ("digits-consistency", "consistency-1"),
    "MeanFlow, 1 step": ("digits-mean-flow", "jump-1"),
    "directly drifting, 1 step": ("digits-directly-drifting", "fixed-time-1"),
    "drifting, 1 step": ("digits-drifting", "fixed-time-1"),
}
"""Run folder and samples, by caption."""


def real_digits() -> torch.Tensor:
    """Real ones, each class in a column of its own."""
    split = Digits(NoOptions()).splits()["train"]
    label = split.labels(torch.arange(len(split)))
    assert label is not None
    of_class = [(label == k).nonzero().flatten()[:ROWS] for k in range(CLASSES)]
    return split.images(torch.stack(of_class, dim=1).flatten())


def main(runs: Path) -> None:
    """Three panels in a row; real digits last."""
    images = {
        caption: first_samples(runs / run, name, count=ROWS * CLASSES)
        for caption, (run, name) in PANELS.items()
    }
    images["real digits"] = real_digits()
    panels = {caption: grid(panel, columns=CLASSES) for caption, panel in images.items()}
    sheet(panels, columns=3).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
