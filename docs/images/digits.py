"""Makes `digits.png` for the README from a finished run of the recipe `digits`.

python docs/images/digits.py runs/digits
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from dddm.interfaces.plugin import NoOptions
from dddm.support.pictures import grid
from dddm_datasets.digits import Digits

ROWS, CLASSES, MARGIN, CAPTION = 6, 10, 12, 26
PANELS = {
    "fixed-time-1": "1 step",
    "fixed-time-2": "2 steps",
    "fixed-time-10": "10 steps",
    "fixed-time-100": "100 steps",
    "annealed-10": "annealed, 10 steps",
    "real": "real digits",
}


def images_of(run: Path, name: str) -> torch.Tensor:
    """The first images of a set of samples, or real ones, each class in a column of its own."""
    if name != "real":
        with np.load(run / "samples" / name / "samples.npz") as contents:
            first = torch.from_numpy(contents["arr_0"][: ROWS * CLASSES])
        return first.permute(0, 3, 1, 2)
    split = Digits(NoOptions()).splits()["train"]
    label = split.labels(torch.arange(len(split)))
    assert label is not None
    of_class = [(label == k).nonzero().flatten()[:ROWS] for k in range(CLASSES)]
    return split.images(torch.stack(of_class, dim=1).flatten())


def main(run: Path) -> None:
    """Three panels in a row, two rows."""
    panels = {name: grid(images_of(run, name), columns=CLASSES) for name in PANELS}
    width, height = next(iter(panels.values())).size
    sheet = Image.new(
        "L", (3 * (width + MARGIN) + MARGIN, 2 * (height + CAPTION + MARGIN) + MARGIN), 255
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=17)
    for place, (name, panel) in enumerate(panels.items()):
        left = MARGIN + (place % 3) * (width + MARGIN)
        top = MARGIN + (place // 3) * (height + CAPTION + MARGIN)
        pen.text((left, top), PANELS[name], fill=40, font=font)
        sheet.paste(panel, (left, top + CAPTION))
    sheet.save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
