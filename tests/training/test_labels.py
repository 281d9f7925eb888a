"""Labels as a person writes them."""

import pytest

from dddm.errors import UsageError
from dddm.generate.sample import choose_labels


def test_names_come_before_numbers() -> None:
    """A class called "1" is meant by 1, wherever it stands; other numbers count from 0."""
    assert choose_labels(["1", " cat", "2"], classes=("cat", "1", "dog")) == (1, 0, 2)
    assert choose_labels(None, classes=("cat",)) is None


@pytest.mark.parametrize("text", ["3", "horse", "-1", "", "0,,1", "²"])
def test_an_unknown_label_names_those_that_exist(text: str) -> None:
    """Every wrong label gets the list of right ones."""
    with pytest.raises(UsageError, match="use one of cat, dog"):
        choose_labels(text.split(","), classes=("cat", "dog", "owl"))


def test_a_network_without_classes_takes_no_labels() -> None:
    """The remedy is to leave the option out."""
    with pytest.raises(UsageError, match="without classes"):
        choose_labels(["0"], classes=())
