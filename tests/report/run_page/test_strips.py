"""Single images in rows, over the steps and above their neighbours."""

import base64
import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from dddm.generate.sample_files import Samples
from dddm.interfaces.info import ImageShape
from dddm.report.run_page.neighbours import Neighbours
from dddm.report.run_page.picture import Picture
from dddm.report.run_page.strips import strip_of
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index

SHAPE = ImageShape(channels=1, height=32, width=32)


def samples(steps: int, *, grey: int, images: int = 8, **facts: Any) -> Samples:
    """Images of one grey, each one level brighter than the one before."""
    images_NCHW = torch.full((images, *SHAPE.as_tuple), grey, dtype=torch.uint8)
    images_NCHW += torch.arange(images, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return Samples(images=images_NCHW, label=None, facts={"steps": steps, **facts})


def cells(picture: Picture, *, columns: int) -> np.ndarray[Any, Any]:
    """The middle of each image of a grid of images of 32 × 32, row by row."""
    contents = base64.b64decode(picture.source.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(contents)) as drawn:
        pixels = np.asarray(drawn)
    found = pixels[17::33, 17::33]
    assert found.shape[1] == columns
    return found


def test_a_row_is_one_image_and_a_column_a_number_of_steps() -> None:
    """Noise first, the nearest training image last; image k stands in row k of every column."""
    group = [samples(1, grey=10, seed=3), samples(1000, grey=100, seed=3)]
    nearest = samples(1, grey=200).images
    neighbours = Neighbours(generated=group[-1].images, nearest=nearest, looked_through=9, of=9)
    strip = strip_of(group, neighbours=neighbours)
    assert strip is not None
    assert strip.columns == ("noise", "1", "1,000", "nearest")
    assert (strip.noise, strip.nearest, strip.rows) == (True, True, 6)
    shown = cells(strip.picture, columns=4)
    for k in range(6):
        assert shown[k, 1:].tolist() == [10 + k, 100 + k, 200 + k]


def test_the_noise_is_that_which_sampling_starts_from() -> None:
    """Pixel for pixel what the seed and the image's number give."""
    group = [samples(1, grey=10, seed=3), samples(2, grey=100, seed=3)]
    strip = strip_of(group, neighbours=None)
    assert strip is not None
    noise = to_uint8(
        noise_by_index(seed=3, purpose="sample x_T", index=torch.arange(6), shape=SHAPE.as_tuple)
    )
    assert cells(strip.picture, columns=3)[:, 0].tolist() == noise[:, 0, 16, 16].tolist()


def test_what_is_not_known_has_no_column() -> None:
    """Without a seed no noise, without real images no neighbours; of one set there is no strip."""
    group = [samples(1, grey=10, images=2), samples(2, grey=100, images=2, seed="three")]
    strip = strip_of(group, neighbours=None)
    assert strip is not None
    assert (strip.columns, strip.rows) == (("1", "2"), 2)
    assert (strip.noise, strip.nearest) == (False, False)
    assert strip_of(group[:1], neighbours=None) is None
