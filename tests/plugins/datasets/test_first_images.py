"""The beginning of a data set is fair to its classes, and is always the same."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dddm.interfaces.dataset import Split
from dddm.interfaces.plugin import NoOptions
from dddm_datasets.digits import Digits
from dddm_datasets.first_images import FirstImages, first_of_each_class


def labels_of(split: Split) -> Tensor:
    """Every label of a split that has classes."""
    labels_N = split.labels(torch.arange(len(split)))
    assert labels_N is not None
    return labels_N


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_every_class_has_its_share(labels: list[int], data: st.DataObject) -> None:
    """No class has two images more than another that still has some, and each gives its first."""
    count = data.draw(st.integers(0, len(labels)))
    labels_N = torch.tensor(labels)
    index = first_of_each_class(labels_N, count=count)
    assert len(index) == count
    assert sorted(set(index.tolist())) == index.tolist()
    taken = torch.bincount(labels_N[index], minlength=4)
    left = torch.bincount(labels_N, minlength=4) - taken
    for one in range(4):
        of_one = index[labels_N[index] == one]
        assert torch.equal(of_one, (labels_N == one).nonzero().flatten()[: len(of_one)])
        assert all(taken[one] >= taken[other] - 1 or left[one] == 0 for other in range(4))


def test_more_images_begin_with_the_fewer() -> None:
    """What 20 images have, 30 have too."""
    labels_N = torch.randint(0, 10, (100,), generator=torch.Generator().manual_seed(0))
    few, many = (set(first_of_each_class(labels_N, count=n).tolist()) for n in (20, 30))
    assert few < many


def test_only_the_training_split_ends_early() -> None:
    """Images keep their labels; what is held out stays whole; the manifest tells the difference."""
    whole, cut = Digits(NoOptions()), FirstImages(Digits(NoOptions()), count=50)
    train = cut.splits()["train"]
    assert len(train) == 50
    assert torch.bincount(labels_of(train)).tolist() == [5] * 10
    assert train.classes == whole.splits()["train"].classes
    assert train.manifest != whole.splits()["train"].manifest
    assert cut.splits()["held-out"].manifest == whole.splits()["held-out"].manifest

    everything = whole.splits()["train"]
    index = first_of_each_class(labels_of(everything), count=50)
    assert torch.equal(train.images(torch.arange(50)), everything.images(index))
