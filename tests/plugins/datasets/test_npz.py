"""Images in .npz files: both layouts, both names, labels or none, and clear refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm_datasets.file_backed import npz
from dddm_datasets.options import NpzOptions

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 5, 4, 3), dtype=np.uint8)
NCHW = IMAGES.transpose(0, 3, 1, 2)
LABELS = np.arange(12) % 3


def splits(path: Path, **options: Any) -> dict[str, Split]:
    return dict(npz(NpzOptions(path=str(path), **options)).splits())


def pixels(split: Split) -> np.ndarray[Any, Any]:
    return split.images(torch.arange(len(split))).numpy()


def labels(split: Split) -> list[int] | None:
    found = split.labels(torch.arange(len(split)))
    return None if found is None else found.tolist()


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": IMAGES, "labels": LABELS},
        {"images": NCHW, "labels": LABELS.astype(np.uint8)},
        {"arr_0": IMAGES, "arr_1": LABELS},
    ],
    ids=["nhwc", "nchw", "adm"],
)
def test_every_layout_gives_the_same_images(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    found = splits(tmp_path / "a.npz")
    assert set(found) == {"train"}
    assert np.array_equal(pixels(found["train"]), NCHW)
    assert labels(found["train"]) == LABELS.tolist()
    assert found["train"].classes == ("0", "1", "2")


def test_without_labels_there_are_no_classes(tmp_path: Path) -> None:
    """Neither where the file has none nor where they are not wanted."""
    np.savez(tmp_path / "bare.npz", images=IMAGES)
    np.savez(tmp_path / "labelled.npz", images=IMAGES, labels=LABELS)
    for found in (
        splits(tmp_path / "bare.npz"), splits(tmp_path / "labelled.npz", classes="none"),
    ):  # fmt: skip
        assert found["train"].classes == ()
        assert labels(found["train"]) is None


def test_held_out_images_are_taken_evenly(tmp_path: Path) -> None:
    """Both splits together are the file's images, each once, in the file's order."""
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    found = splits(tmp_path / "a.npz", held_out_images=3)
    assert sorted(labels(found["held-out"]) or []) == [0, 1, 2]
    rows = {image.tobytes(): k for k, image in enumerate(NCHW)}
    order = {
        name: [rows[image.tobytes()] for image in pixels(split)] for name, split in found.items()
    }
    assert sorted(order["train"] + order["held-out"]) == list(range(12))
    assert order["train"] == sorted(order["train"])
    assert labels(found["train"]) == [int(LABELS[k]) for k in order["train"]]


def test_a_second_file_is_held_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    np.savez(tmp_path / "b.npz", images=IMAGES[:4], labels=np.array([0, 1, 3, 0]))
    found = splits(tmp_path / "a.npz", held_out_path=str(tmp_path / "b.npz"))
    assert np.array_equal(pixels(found["held-out"]), NCHW[:4])
    assert found["train"].classes == ("0", "1", "2", "3")


WRONG = [
    ({"pictures": IMAGES}, {}, "no array called images or arr_0; it holds pictures"),
    ({"images": IMAGES.astype(np.float32)}, {}, "should be uint8"),
    ({"images": IMAGES[0]}, {}, "should be uint8"),
    ({"images": IMAGES[:0]}, {}, "at least one image"),
    ({"images": IMAGES[..., :2]}, {}, "no axis is 1 or 3"),
    ({"images": IMAGES[:, :3]}, {}, "either axis may be the channels"),
    ({"images": IMAGES, "labels": LABELS[:5]}, {}, "12 integers, one per image"),
    ({"images": IMAGES, "labels": LABELS / 2}, {}, "12 integers, one per image"),
    ({"images": IMAGES, "labels": LABELS - 1}, {}, "a label is -1, outside"),
    ({"images": IMAGES, "labels": LABELS + 10}, {}, "a label is 12, outside 0…11"),
    ({"images": IMAGES}, {"held_out_images": 12}, "leaves none to train on"),
]


@pytest.mark.parametrize(("arrays", "options", "says"), WRONG, ids=[says for *_, says in WRONG])
def test_what_does_not_fit_is_refused(
    tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], says: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=says) as refused:
        splits(tmp_path / "a.npz", **options)
    assert str(tmp_path / "a.npz") in str(refused.value.where)
    assert refused.value.remedy


def test_the_layout_can_be_said(tmp_path: Path) -> None:
    images = IMAGES[:, :3]
    np.savez(tmp_path / "a.npz", images=images)
    found = splits(tmp_path / "a.npz", layout="nhwc")
    assert np.array_equal(pixels(found["train"]), images.transpose(0, 3, 1, 2))


def test_files_must_fit_each_other(tmp_path: Path) -> None:
    """In shape, and in having labels; and held-out images are named once."""
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    np.savez(tmp_path / "other.npz", images=IMAGES[:, :4], labels=LABELS)
    np.savez(tmp_path / "bare.npz", images=IMAGES)
    for name, says in (("other", "differ in shape"), ("bare", "the other has none")):
        with pytest.raises(DataError, match=says):
            splits(tmp_path / "a.npz", held_out_path=str(tmp_path / f"{name}.npz"))
    with pytest.raises(DataError, match="given twice"):
        splits(tmp_path / "a.npz", held_out_path=str(tmp_path / "a.npz"), held_out_images=2)
    with pytest.raises(DataError, match=r"no file c\.npz"):
        splits(tmp_path / "a.npz", held_out_path=str(tmp_path / "c.npz"))
