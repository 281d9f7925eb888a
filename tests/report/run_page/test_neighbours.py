"""The training images that generated ones are nearest to."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.data.in_memory_split import InMemorySplit
from dddm.report.run_page import neighbours
from dddm.report.run_page.neighbours import nearest_in


def split_of(images: torch.Tensor) -> InMemorySplit:
    """A split without classes."""
    return InMemorySplit(all_images=images, all_labels=None, class_names=())


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000))
def test_no_training_image_is_nearer(images: int, asked: int, seed: int) -> None:
    """By plain comparison with every training image, also across blocks."""
    generator = torch.Generator().manual_seed(seed)
    train, generated = (
        torch.randint(0, 256, (count, 1, 2, 3), generator=generator, dtype=torch.uint8)
        for count in (images, asked)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_BLOCK_BYTES", 30)
        found = nearest_in(split_of(train), generated=generated)
    assert torch.equal(found.generated, generated)
    for one, nearest in zip(generated, found.nearest, strict=True):
        squared = (train.long() - one.long()).square().flatten(1).sum(dim=1)
        assert (nearest.long() - one.long()).square().sum() == squared.min()


def test_a_copy_finds_its_original() -> None:
    """A training image has itself as its nearest neighbour."""
    train = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    found = nearest_in(split_of(train), generated=train[[7, 42]])
    assert torch.equal(found.nearest, train[[7, 42]])
    assert found.looked_through == found.of == 50


def test_a_large_split_is_looked_through_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit images are taken from all of the split, and the count says how many."""
    monkeypatch.setattr(neighbours, "MOST_BYTES", 3)
    train = torch.arange(9, dtype=torch.uint8).mul(10).reshape(9, 1, 1, 1)
    found = nearest_in(split_of(train), generated=train[8:])
    assert (found.looked_through, found.of, int(found.nearest)) == (3, 9, 60)


def test_parts_are_those_of_their_images() -> None:
    """What is found in one pass for several sets is each set's own."""
    train = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    first, second = nearest_in(split_of(train), generated=train[[7, 42, 3]]).split([2, 1])
    assert torch.equal(first.nearest, train[[7, 42]])
    assert torch.equal(second.generated, train[[3]])
    assert second.of == 50
