"""What is said about options before torch is imported."""

from typing import Any

import pytest

from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Issue, RecipeContext
from dddm_plugin_example.options import DitOptions, check_dit


def issues(
    *, shape: tuple[int, int] | None = (8, 8), labels: int = 2, **options: Any
) -> list[Issue]:
    facts = None
    if shape is not None:
        facts = DatasetInfo(
            shape=ImageShape(channels=1, height=shape[0], width=shape[1]),
            train_images=10,
            classes=tuple(str(label) for label in range(labels)),
        )
    return list(check_dit(DitOptions(**options), RecipeContext(data=facts, tables={})))


def test_what_fits_is_not_complained_of() -> None:
    """The defaults suit images of even height and width."""
    assert issues() == []
    assert issues(shape=None, classes=True) == []


@pytest.mark.parametrize("shape", [(9, 8), (8, 9), (7, 7)])
def test_odd_images_are_refused(shape: tuple[int, int]) -> None:
    """With the patches that they can be cut into."""
    (issue,) = issues(shape=shape)
    assert issue.option == "patch"
    assert f"{shape[0]}×{shape[1]} pixels" in issue.what
    assert issue.remedy == ("patch can be 1, 7" if shape == (7, 7) else "patch can be 1")
    assert issues(shape=shape, patch=1) == []


@pytest.mark.parametrize(
    ("options", "option", "remedy"),
    [
        ({"width": 30, "heads": 2}, "width", "use 28 or 32"),
        ({"width": 20, "heads": 3}, "heads", "heads can be 1, 2, 4, 5, 10, 20"),
        ({"blocks": 2, "estimate_from": 2}, "estimate_from", "use 1 or less"),
        ({"classes": True}, "classes", "write classes = false"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], option: str, remedy: str) -> None:
    """Each with the option to change, and what to write."""
    (issue,) = issues(labels=0, **options)
    assert (issue.option, issue.remedy) == (option, remedy)
