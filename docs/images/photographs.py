"""Makes `photographs.png` from finished runs of the two small recipes on CIFAR-10.

python docs/images/photographs.py runs/cifar10-small-as-printed runs/cifar10-small
"""

import sys
from pathlib import Path

import torch
from panels import first_samples, sheet

from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.support.images import grid
from dddm.training.build import build_split

ROWS, COLUMNS = 4, 10
STEPS = (1, 2, 10, 100)


def main(as_printed: Path, with_what_helps: Path) -> None:
    """As printed above, with what helps below, real ones at the end."""
    images = {}
    for run, words in ((as_printed, "as printed"), (with_what_helps, "with what helps")):
        for steps in STEPS:
            caption = f"{words}, {steps} step{'s' * (steps > 1)}"
            images[caption] = first_samples(run, f"fixed-time-{steps}", count=ROWS * COLUMNS)
    for steps in (2, 10):
        images[f"with what helps, annealed, {steps} steps"] = first_samples(
            with_what_helps, f"annealed-{steps}", count=ROWS * COLUMNS
        )
    split = build_split(read_recipe(with_what_helps / "recipe.toml", catalogue=load_catalogue()))
    label = split.labels(torch.arange(len(split)))
    assert label is not None
    of_class = [(label == k).nonzero().flatten()[:ROWS] for k in range(COLUMNS)]
    images["real photographs"] = split.images(torch.stack(of_class, dim=1).flatten())
    panels = {caption: grid(image_NCHW, columns=COLUMNS) for caption, image_NCHW in images.items()}
    sheet(panels, columns=4).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
