"""An in-memory split reads by index."""

import torch

from dddm.data.in_memory_split import InMemorySplit

IMAGES = torch.randint(0, 256, (5, 3, 2, 4), generator=torch.Generator().manual_seed(0))
SPLIT = InMemorySplit(
    all_images=IMAGES.to(torch.uint8),
    all_labels=torch.tensor([0, 1, 0, 1, 1]),
    class_names=("cat", "dog"),
)
UNLABELLED = InMemorySplit(all_images=IMAGES.to(torch.uint8), all_labels=None, class_names=())


def test_reads_what_is_asked_for() -> None:
    """Images and labels come in the order of the index, repeated where it repeats."""
    index = torch.tensor([4, 0, 4])
    assert torch.equal(SPLIT.images(index), IMAGES[index].to(torch.uint8))
    labels = SPLIT.labels(index)
    assert labels is not None
    assert labels.tolist() == [1, 0, 1]


def test_a_batch_is_a_copy() -> None:
    before = SPLIT.manifest
    SPLIT.images(torch.arange(5)).zero_()
    assert SPLIT.manifest == before


def test_says_what_it_holds() -> None:
    assert len(SPLIT) == 5
    assert SPLIT.shape.as_tuple == (3, 2, 4)
    assert SPLIT.classes == ("cat", "dog")


def test_data_without_classes() -> None:
    """Without labels there are none to read, and the manifest differs."""
    assert UNLABELLED.labels(torch.tensor([0])) is None
    assert UNLABELLED.manifest != SPLIT.manifest
