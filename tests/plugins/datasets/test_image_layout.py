"""Splits and classes follow from the names of files."""

import pytest

from dddm.errors import DataError
from dddm_datasets.image_layout import Layout, lay_out

CATS = [f"cat/{k}.png" for k in range(4)]
DOGS = [f"dog/deep/{k}.png" for k in range(6)]


def laid_out(
    names: list[str], *, with_classes: bool = True, held_out_images: int = 0, archive: bool = False
) -> Layout:
    return lay_out(
        sorted(names),
        with_classes=with_classes,
        held_out_images=held_out_images,
        where="here",
        archive=archive,
    )


def test_top_folders_are_classes() -> None:
    layout = laid_out([*DOGS, *CATS])
    assert layout.classes == ("cat", "dog")
    assert layout.splits["train"].names == [*CATS, *DOGS]
    assert layout.splits["train"].labels.tolist() == [0] * 4 + [1] * 6
    assert set(layout.splits) == {"train"}


def test_without_classes_any_place_will_do() -> None:
    layout = laid_out([*DOGS, "a.png"], with_classes=False)
    assert layout.classes == ()
    assert layout.splits["train"].names == ["a.png", *DOGS]


def test_without_folders_there_are_no_classes() -> None:
    """Whether or not there are folders of splits."""
    for folder in ("", "train/"):
        names = [f"{folder}{number}.png" for number in range(4)]
        more = ["val/9.png"] if folder else []
        layout = laid_out([*names, *more], held_out_images=0 if folder else 1)
        assert layout.classes == ()
        assert len(layout.splits["train"].names) == (4 if folder else 3)


def test_an_image_outside_of_all_classes_is_named() -> None:
    with pytest.raises(DataError, match=r"a\.png is in no class") as refused:
        laid_out([*DOGS, "a.png"])
    assert 'data.classes = "none"' in str(refused.value.remedy)


@pytest.mark.parametrize("folder", ["val", "validation", "test", "held-out"])
def test_split_folders_are_recognised(folder: str) -> None:
    """`train` beside any of the usual names; classes are those of training."""
    names = [f"train/{name}" for name in (*CATS, *DOGS)] + [f"{folder}/dog/9.png"]
    layout = laid_out(names)
    assert layout.classes == ("cat", "dog")
    assert layout.splits["held-out"].names == [f"{folder}/dog/9.png"]
    assert layout.splits["held-out"].labels.tolist() == [1]
    assert len(layout.splits["train"].names) == 10


def test_a_third_split_is_not_used() -> None:
    """The first of held-out, val, validation and test is; the images of the others are counted."""
    layout = laid_out(["train/a/1.png", "test/a/2.png", "val/a/3.png", "val/a/4.png"])
    assert layout.splits["held-out"].names == ["val/a/3.png", "val/a/4.png"]
    assert layout.unused == 1


def test_a_class_may_be_called_train() -> None:
    """Where other classes stand beside it, it is no split."""
    assert laid_out(["train/1.png", "plane/1.png"]).classes == ("plane", "train")


def test_an_unknown_class_is_refused() -> None:
    """Held-out images of a class that is not trained on have no label."""
    with pytest.raises(DataError, match="training lacks: dog"):
        laid_out(["train/cat/1.png", "val/dog/1.png"])


def test_held_out_images_come_from_every_class() -> None:
    """In their share, and in the order of their names."""
    layout = laid_out([*CATS, *DOGS], held_out_images=5)
    assert layout.splits["held-out"].labels.tolist() == [0, 0, 1, 1, 1]
    names = [*layout.splits["train"].names, *layout.splits["held-out"].names]
    assert sorted(names) == [*CATS, *DOGS]


def test_held_out_images_must_leave_some_and_be_named_once() -> None:
    with pytest.raises(DataError, match="leaves none to train on"):
        laid_out(CATS, held_out_images=4)
    with pytest.raises(DataError, match="given twice"):
        laid_out(["train/a/1.png", "val/a/3.png"], held_out_images=1)


def test_a_folder_around_everything_means_nothing() -> None:
    """In an archive; in a folder, where another path could be given, it is a class."""
    names = [f"photos/{name}" for name in (*CATS, *DOGS)]
    assert laid_out(names, archive=True).classes == ("cat", "dog")
    assert laid_out(names).classes == ("photos",)
    assert laid_out(CATS, archive=True).classes == ("cat",)
    assert set(laid_out([f"p/{s}/a/1.png" for s in ("train", "val")], archive=True).splits) == {
        "train", "held-out",
    }  # fmt: skip
