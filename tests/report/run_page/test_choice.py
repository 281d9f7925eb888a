"""Which samples are shown, and which real images beside them."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.report.run_page.choice import choose_real, choose_samples


def test_a_row_is_a_class_and_holds_its_first_samples() -> None:
    """Of 1,500 samples of ten classes in turn: ten rows of the first ten of each class."""
    label = torch.arange(1500) % 10
    choice = choose_samples(images=1500, label=label)
    assert choice.rows == tuple(range(10))
    assert choice.columns == 10
    assert torch.equal(choice.index.reshape(10, 10)[3], torch.arange(3, 103, 10))


def test_classes_that_were_asked_for_have_the_rows() -> None:
    """Samples of the classes 8 and 3 alone have two rows."""
    label = torch.tensor([8, 3] * 20)
    choice = choose_samples(images=40, label=label)
    assert choice.rows == (3, 8)
    assert torch.equal(label[choice.index], torch.tensor([3] * 10 + [8] * 10))


def test_of_many_classes_some_have_a_row() -> None:
    """Of a thousand classes ten at equal distances, each with its first samples."""
    choice = choose_samples(images=50_000, label=torch.arange(50_000) % 1000)
    assert choice.rows == tuple(range(50, 1000, 100))
    assert torch.equal(choice.index.reshape(10, 10)[2], torch.arange(250, 10_250, 1000))


def test_few_samples_are_shown_as_they_come() -> None:
    """Three of each class, two of each of a thousand, or none: the first 64 in their order."""
    for images, classes in ((30, 10), (2000, 1000)):
        choice = choose_samples(images=images, label=torch.arange(images) % classes)
        assert choice.rows == ()
        assert torch.equal(choice.index, torch.arange(min(images, 64)))
    assert torch.equal(choose_samples(images=1, label=None).index, torch.tensor([0]))


labels = st.lists(st.integers(0, 4), min_size=1, max_size=40).map(torch.tensor)


@given(real=labels, like=labels)
def test_real_images_have_the_classes_of_the_samples(
    real: torch.Tensor, like: torch.Tensor
) -> None:
    """In every place stands a real image of the sample's class, wherever there is one."""
    index = choose_real(images=len(real), label=real, like=like, count=len(like))
    assert len(index) == len(like)
    there = torch.isin(like, real)
    assert torch.equal(real[index][there], like[there])


@given(real=labels, like=labels)
def test_no_real_image_is_shown_twice_without_need(real: torch.Tensor, like: torch.Tensor) -> None:
    """Within a class images repeat only where there are fewer than places."""
    index = choose_real(images=len(real), label=real, like=like, count=len(like))
    for value in torch.unique(like).tolist():
        places, pool = int((like == value).sum()), int((real == value).sum())
        if pool:
            assert len(torch.unique(index[like == value])) == min(places, pool)


def test_without_classes_real_images_come_from_everywhere() -> None:
    """Ten of a hundred are taken at equal distances, not from the beginning."""
    index = choose_real(images=100, label=None, like=None, count=10)
    assert torch.equal(index, torch.arange(5, 100, 10))
