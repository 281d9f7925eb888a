"""Reading training images ahead, and keeping them on a device."""

from collections.abc import Iterator
from typing import final

import pytest
import torch
from torch import Tensor

from dddm.interfaces.dataset import Split
from dddm.interfaces.info import ImageShape
from dddm.interfaces.shards import Shards
from dddm.training.batches import StepRows
from dddm.training.reader import Reader, ResidentSplit

CPU = torch.device("cpu")


@final
class Counting(Split):
    """Images of one level each, which counts how often it is read."""

    shape = ImageShape(channels=1, height=2, width=2)
    classes = ("even", "odd")
    manifest = "0" * 64

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return 10

    def images(self, index: Tensor) -> Tensor:
        self.reads += 1
        return index.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()

    def labels(self, index: Tensor) -> Tensor | None:
        return index % 2


def levels(x_0: Tensor) -> Tensor:
    """The images' levels, by which they are told apart."""
    return ((x_0[:, 0, 0, 0] + 1) * 127.5).round().long()


def rows(index: Tensor) -> StepRows:
    """Of images that are rows of the memory themselves."""
    return StepRows(index=index, rows=index)


@pytest.fixture
def split() -> Counting:
    return Counting()


@pytest.fixture
def reader(split: Counting) -> Iterator[Reader]:
    made = Reader(split, device=CPU, labels=True)
    yield made
    made.close()


def test_what_is_read_ahead_is_what_is_asked_for(reader: Reader, split: Counting) -> None:
    """Each batch is read once, whether ahead or not, with its own labels."""
    batches = [torch.tensor([1, 4]), torch.tensor([9, 0]), torch.tensor([5, 6])]
    for number, index in enumerate(batches):
        upcoming = rows(batches[number + 1]) if number + 1 < len(batches) else None
        batch = reader.read(rows(index), upcoming=upcoming)
        assert torch.equal(batch.index, index)
        assert torch.equal(batch.rows, index)
        assert batch.sets is None
        assert torch.equal(levels(batch.x_0), index)
        assert batch.label is not None
        assert torch.equal(batch.label, index % 2)
    assert split.reads == 3


def test_sets_come_with_the_images_that_they_are_compared_with(
    reader: Reader, split: Counting
) -> None:
    """Ahead or not, in one read: rows, images and real images each with their own numbers."""
    steps = [
        StepRows(
            index=torch.tensor([2, 4, 1, 3]),
            rows=torch.tensor([7, 5, 0, 9]),
            real=torch.tensor([[6, 8, 0], [5, 7, 9]]),
        ),
        StepRows(
            index=torch.tensor([5, 9, 0, 6]),
            rows=torch.tensor([1, 2, 3, 4]),
            real=torch.tensor([[1, 3, 7], [2, 4, 8]]),
        ),
    ]
    for step, upcoming in zip(steps, [steps[1], None], strict=True):
        batch = reader.read(step, upcoming=upcoming)
        assert step.real is not None
        assert batch.sets is not None
        assert batch.sets.label is not None
        assert batch.label is not None
        assert torch.equal(batch.rows, step.rows)
        assert torch.equal(levels(batch.x_0), step.index)
        assert torch.equal(batch.label, step.index % 2)
        assert torch.equal(batch.sets.index, step.real)
        assert torch.equal(levels(batch.sets.x_0.flatten(0, 1)).reshape(2, 3), step.real)
        assert torch.equal(batch.sets.label, step.real[:, 0] % 2)
    assert split.reads == 2


def test_other_images_than_were_announced(reader: Reader) -> None:
    """A batch that was not announced is read anew: never the wrong images."""
    reader.read(rows(torch.tensor([0])), upcoming=rows(torch.tensor([1, 2])))
    batch = reader.read(rows(torch.tensor([3, 7])))
    assert torch.equal(levels(batch.x_0), torch.tensor([3, 7]))


def test_a_failure_ahead_is_raised_when_its_batch_is_due() -> None:
    """What goes wrong in the thread reaches the training loop, at the batch that it concerns."""
    reader = Reader(Failing(), device=CPU, labels=False)
    reader.read(rows(torch.tensor([0])), upcoming=rows(torch.tensor([1])))
    with pytest.raises(RuntimeError, match="the disk is gone"):
        reader.read(rows(torch.tensor([1])))
    reader.close()


@final
class Failing(Split):
    """Two images, of which the second cannot be read."""

    shape = ImageShape(channels=1, height=2, width=2)
    classes = ()
    manifest = "0" * 64

    def __len__(self) -> int:
        return 2

    def images(self, index: Tensor) -> Tensor:
        if int(index.max()) > 0:
            raise RuntimeError("the disk is gone")
        return torch.zeros(len(index), 1, 2, 2, dtype=torch.uint8)

    def labels(self, index: Tensor) -> Tensor | None:
        return None


def test_a_resident_split_is_the_split(split: Counting) -> None:
    """Images and labels are the same from the device's memory, and read from below once."""
    resident = ResidentSplit(split, device=CPU, shards=Shards.whole(len(split)))
    index = torch.tensor([8, 1, 3])
    assert torch.equal(resident.images(index), split.images(index))
    labels = resident.labels(index)
    assert labels is not None
    assert torch.equal(labels, index % 2)
    assert (len(resident), resident.shape, resident.classes, resident.manifest) == (
        len(split),
        split.shape,
        split.classes,
        split.manifest,
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_keeps_its_own_shards_on_the_device(
    split: Counting, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    """Those are not read again; images of others are read from below, and are the same."""
    monkeypatch.setattr("dddm.training.reader._ROWS_AT_ONCE", 2)
    shards = Shards.of_process(images=len(split), count=4, rank=rank, processes=2)
    resident = ResidentSplit(split, device=CPU, shards=shards)
    own = torch.cat([shards.images_of(shard) for shard in shards.owned]).flip(0)
    expected = split.images(own)
    with monkeypatch.context() as patch:
        patch.setattr(Counting, "images", lambda *_: pytest.fail("read again"))
        assert torch.equal(resident.images(own), expected)
        found = resident.labels(own)
        assert found is not None
        assert torch.equal(found, own % 2)
    every = torch.arange(len(split))
    assert torch.equal(resident.images(every), split.images(every))
    labels = resident.labels(every)
    assert labels is not None
    assert torch.equal(labels, every % 2)
