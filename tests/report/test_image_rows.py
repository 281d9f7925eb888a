"""Single images in rows, over the steps and above their nearest training images."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dddm.data.in_memory_split import InMemorySplit
from dddm.generate.storage import Samples
from dddm.interfaces.info import ImageShape
from dddm.report import image_rows as module
from dddm.report.image_rows import Neighbours, convergence_chart, image_rows, nearest_in
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index

SHAPE = ImageShape(channels=1, height=32, width=32)


def split_of(images: torch.Tensor) -> InMemorySplit:
    return InMemorySplit(all_images=images, all_labels=None, class_names=())


def samples(steps: int, *, grey: int, images: int = 8, **facts: Any) -> Samples:
    """Images of one grey, each one level brighter than the one before."""
    images_NCHW = torch.full((images, *SHAPE.as_tuple), grey, dtype=torch.uint8)
    images_NCHW += torch.arange(images, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return Samples(images=images_NCHW, label=None, facts={"steps": steps, **facts})


def cells(picture: Image.Image, *, columns: int) -> np.ndarray[Any, Any]:
    """The middle of each image of a grid of images of 32 × 32, row by row."""
    found = np.asarray(picture)[17::33, 17::33]
    assert found.shape[1] == columns
    return found


def test_a_row_is_one_image_and_a_column_a_number_of_steps() -> None:
    group = [samples(1, grey=10, seed=3), samples(1000, grey=100, seed=3)]
    nearest = samples(1, grey=200).images
    neighbours = Neighbours(generated=group[-1].images, nearest=nearest, searched=9, total=9)
    rows = image_rows(group, neighbours=neighbours)
    assert rows is not None
    assert (rows.columns, rows.rows) == (("noise", "1", "1,000", "nearest"), 6)
    shown = cells(rows.picture, columns=4)
    for k in range(6):
        assert shown[k, 1:].tolist() == [10 + k, 100 + k, 200 + k]


def test_the_noise_is_what_sampling_starts_from() -> None:
    group = [samples(1, grey=10, seed=3), samples(2, grey=100, seed=3)]
    rows = image_rows(group, neighbours=None)
    assert rows is not None
    noise = to_uint8(
        noise_by_index(seed=3, purpose="sample x_T", index=torch.arange(6), shape=SHAPE.as_tuple)
    )
    assert cells(rows.picture, columns=3)[:, 0].tolist() == noise[:, 0, 16, 16].tolist()


def test_what_is_not_known_has_no_column() -> None:
    group = [samples(1, grey=10, images=2), samples(2, grey=100, images=2, seed="three")]
    rows = image_rows(group, neighbours=None)
    assert rows is not None
    assert (rows.columns, rows.rows) == (("1", "2"), 2)
    assert image_rows(group[:1], neighbours=None) is None


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000))
def test_no_training_image_is_nearer(images: int, asked: int, seed: int) -> None:
    """By plain comparison with every training image, also across blocks and sets."""
    generator = torch.Generator().manual_seed(seed)
    train, *generated = (
        torch.randint(0, 256, (count, 1, 2, 3), generator=generator, dtype=torch.uint8)
        for count in (images, asked, 2)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK_BYTES", 30)
        results = nearest_in(split_of(train), generated=generated)
    for result, given_images in zip(results, generated, strict=True):
        assert result is not None
        assert torch.equal(result.generated, given_images)
        for one, nearest in zip(given_images, result.nearest, strict=True):
            squared = (train.long() - one.long()).square().flatten(1).sum(dim=1)
            assert (nearest.long() - one.long()).square().sum() == squared.min()


def test_sets_of_another_shape_have_no_neighbours() -> None:
    train = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    other = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    none, copies = nearest_in(split_of(train), generated=[other, train[[7, 42]]])
    assert none is None
    assert copies is not None
    assert torch.equal(copies.nearest, train[[7, 42]])
    assert copies.searched == copies.total == 50
    assert nearest_in(split_of(train), generated=[other]) == [None]


def test_a_large_split_is_searched_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 3)
    train = torch.arange(9, dtype=torch.uint8).mul(10).reshape(9, 1, 1, 1)
    (found,) = nearest_in(split_of(train), generated=[train[8:]])
    assert found is not None
    assert (found.searched, found.total, int(found.nearest)) == (3, 9, 60)


NOTED = {"steps": [1.0, 2.0, 5.0], "median": [0.9, 0.1, 0.0], "largest": [1.5, 0.5, 0.2]}


def test_recorded_convergence_is_drawn() -> None:
    chart = convergence_chart(samples(10, grey=0, change_of_estimate=NOTED))
    assert chart is not None
    assert chart.names == ("median over the images", "largest")
    assert "the median is 0.000, the largest 0.200" in chart.caption


@pytest.mark.parametrize(
    "noted",
    [
        None,
        "much",
        {},
        NOTED | {"median": [0.9, 0.1]},
        NOTED | {"median": [0.9, "much", 0.0]},
        NOTED | {"median": 3},
        NOTED | {"largest": [1.5, float("nan"), 0.2]},
        NOTED | {"largest": [1.5, -0.5, 0.2]},
        NOTED | {"steps": [2.0, 1.0, 5.0]},
        NOTED | {"steps": [0.0, 1.0, 5.0]},
        {"steps": [1], "median": [0.5], "largest": [0.5]},
        {"steps": [], "median": [], "largest": []},
    ],
)
def test_a_damaged_record_of_convergence_costs_the_chart_alone(noted: Any) -> None:
    assert convergence_chart(samples(10, grey=0, change_of_estimate=noted)) is None
