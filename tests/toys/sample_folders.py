"""Folders of samples that no sampler generated."""

import json
from pathlib import Path

import numpy as np

from dddm.generate.storage import ARRAYS, Samples
from dddm.support.images import grid, png_bytes


def write_samples(folder: Path, samples: Samples, *, columns: int | None = None) -> None:
    """As `dddm sample` would have written them."""
    folder.mkdir(parents=True)
    arrays = {"arr_0": samples.images.permute(0, 2, 3, 1).numpy()}
    if samples.label is not None:
        arrays["arr_1"] = samples.label.numpy()
    np.savez(folder / ARRAYS, **arrays)  # type: ignore[arg-type]
    (folder / "grid.png").write_bytes(png_bytes(grid(samples.images[:100], columns=columns)))
    (folder / "manifest.json").write_text(json.dumps(samples.facts), encoding="utf-8")
