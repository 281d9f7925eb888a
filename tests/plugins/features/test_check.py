"""What cannot be judged after training is found before it."""

import pytest

from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import NoOptions, RecipeContext
from dddm_features import check_digits_classifier


def issues(shape: tuple[int, int, int] | None) -> list[str]:
    """What is said about data of that shape, or of one that is not known yet."""
    data = None
    if shape is not None:
        channels, height, width = shape
        image = ImageShape(channels=channels, height=height, width=width)
        data = DatasetInfo(shape=image, train_images=10)
    context = RecipeContext(data=data, tables={})
    return [f"{c.what} {c.remedy}" for c in check_digits_classifier(NoOptions(), context)]


@pytest.mark.parametrize("shape", [(1, 8, 8), None])
def test_digits_and_the_unknown_pass(shape: tuple[int, int, int] | None) -> None:
    """Nothing is wrong with digits, nor with data that are known only once they are read."""
    assert issues(shape) == []


def test_other_images_are_named() -> None:
    """Both shapes and the remedy are said."""
    (sentence,) = issues((3, 32, 32))
    assert "1×8×8" in sentence
    assert "3×32×32" in sentence
    assert "pixels" in sentence
