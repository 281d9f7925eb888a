"""What a data set promises; see `dddm.interfaces.dataset`.

Legend: N images of a split, B of a batch, C channels, H rows, W columns.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import torch
from torch import Tensor

from dddm.data.examine import examine_dataset
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.info import DatasetInfo
from dddm.support.manifest import manifest_of
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import BATCHES, assert_equal, assert_tensor

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COMPARED: Final = 64
"""Images of a split that are compared one by one."""
_FEW: Final = 10_000
_MANY: Final = 100_000
_AT_ONCE: Final = 1000
_LEAK: Final = 0.05
"""Share of held-out images that may happen to be training images too."""


def _splits_of(subject: Subject, dataset: Dataset) -> Mapping[str, Split]:
    """The splits; skips the check where files that the registration names are missing."""
    with subject.absent_files_skip():
        return dataset.splits()


def _each_split(subject: Subject) -> Iterator[tuple[str, Split]]:
    yield from _splits_of(subject, subject.made).items()


def _whole(subject: Subject) -> Iterator[tuple[Subject, Mapping[str, Split]]]:
    yield subject, _splits_of(subject, subject.made)


DATASET: Final = Suite("dataset", interface=Dataset, cases=_each_split)


def _some(split: Split) -> Tensor:
    """Rising indices of images all over a split, including the first and the last."""
    return torch.linspace(0, len(split) - 1, min(len(split), _COMPARED)).round().long()


@DATASET.check(cases=_whole)
def splits(_: Subject, found: Mapping[str, Split]) -> None:
    """There is a split `train` with images; all splits have one shape and the same classes."""
    assert "train" in found, f"the splits are {', '.join(found) or 'none'}: name one train"
    train = found["train"]
    for name, split in found.items():
        assert isinstance(split, Split), f"{name} is a {type(split).__name__}, not a Split"
        assert len(split) > 0, f"{name} has {len(split)} images"
        assert split.shape == train.shape, f"images of {name} are {split.shape}, not {train.shape}"
        same = tuple(split.classes) == tuple(train.classes)
        assert same, f"the classes of {name} are not those of train"
        assert len(set(split.classes)) == len(split.classes), f"classes of {name} share a name"


@DATASET.check()
def images(name: str, split: Split) -> None:
    """Images are (B, C, H, W), uint8, on the CPU, for odd batches and empty ones."""
    for count in (*BATCHES, 0):
        index = torch.arange(min(count, len(split)))
        found = split.images(index)
        what = f"{len(index)} images of {name}"
        shape = (len(index), *split.shape.as_tuple)
        assert_tensor(found, shape=shape, dtype=torch.uint8, what=what)
        assert found.device.type == "cpu", f"{what} are on {found.device}"


@DATASET.check()
def order(name: str, split: Split) -> None:
    """Images and labels follow the order of the indices, including repeated ones."""
    index = _some(split)
    alone = {int(k): split.images(k[None]) for k in index}
    for wanted in (index, index.flip(0), index[[0, -1, 0, 0]]):
        assert_equal(
            split.images(wanted),
            torch.cat([alone[int(k)] for k in wanted]),
            f"images of {name} for indices {wanted[:4].tolist()}… are not those images",
        )
    labelled, turned = split.labels(index), split.labels(index.flip(0))
    assert _same(turned, None if labelled is None else labelled.flip(0)), (
        f"labels of {name} are not in the order of the indices"
    )


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


@DATASET.check()
def labels(name: str, split: Split) -> None:
    """Labels are (B,), int64, in 0…classes-1; None exactly if there are no classes."""
    index = torch.arange(min(len(split), _FEW))
    found, classes = split.labels(index), len(split.classes)
    assert (found is None) == (not classes), (
        f"{name} has {classes} classes and {'no labels' if found is None else 'labels'}"
    )
    if found is not None:
        assert_tensor(found, shape=(len(index),), dtype=torch.int64, what=f"labels of {name}")
        least, most = int(found.min()), int(found.max())
        assert least >= 0 and most < classes, (
            f"labels of {name} are {least} to {most}, but there are {classes} classes"
        )


@DATASET.check(cases=_whole)
def every_class_has_images(_: Subject, found: Mapping[str, Split]) -> None:
    """Each class has a training image."""
    train = found["train"]
    if not train.classes:
        pytest.skip("it has no classes")
    labels = train.labels(torch.arange(len(train)))
    assert labels is not None
    missing = sorted(set(range(len(train.classes))) - set(labels.tolist()))
    assert not missing, (
        f"{len(missing)} of {len(train.classes)} classes have no training image, such as class "
        f"{missing[0]}, {train.classes[missing[0]]!r}: leave out its name, or correct the labels"
    )


@DATASET.check(cases=_whole)
def holds_images_out(_: Subject, found: Mapping[str, Split]) -> None:
    """At most 5% of the held-out images are among the training images."""
    if "held-out" not in found:
        pytest.skip("it holds no images out")
    train, held_out = found["train"], found["held-out"]
    if len(train) > _MANY:
        pytest.skip(f"there are more than {_MANY:,} training images to look at")
    known = set(_digests(train, torch.arange(len(train))))
    some = torch.linspace(0, len(held_out) - 1, min(len(held_out), _FEW)).round().long()
    again = sum(digest in known for digest in _digests(held_out, some))
    assert again <= _LEAK * len(some), (
        f"{again} of {len(some)} held-out images are training images: a floor or a score on them "
        "would be that of memory; split the images before anything is drawn from them"
    )


def _digests(split: Split, index: Tensor) -> Iterator[bytes]:
    """One for each image."""
    for part in torch.split(index, _AT_ONCE):
        for image in split.images(part):
            yield hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


@DATASET.check()
def own_tensors(name: str, split: Split) -> None:
    """Images that are read share no memory with the data set."""
    index = _some(split)
    kept = split.images(index).clone()
    split.images(index).fill_(7)
    assert_equal(
        split.images(index),
        kept,
        f"images of {name} changed with a tensor that was given away: give a copy, as indexing by "
        "a tensor does",
    )


@DATASET.check(cases=_whole)
def manifest(_: Subject, found: Mapping[str, Split]) -> None:
    """The manifest of a split is that of `manifest_of`, of all images and labels in their order."""
    manifests = {name: split.manifest for name, split in found.items()}
    for name, said in manifests.items():
        assert isinstance(said, str) and _SHA256.fullmatch(said), (
            f"that of {name} is {said!r}: use dddm.support.manifest.manifest_of"
        )
    distinct = len(set(manifests.values())) == len(manifests)
    assert distinct, "different splits have the same: make it of all images and labels"
    for name, split in found.items():
        if len(split) <= _FEW:
            index = torch.arange(len(split))
            expected = manifest_of(images=split.images(index), labels=split.labels(index))
            assert manifests[name] == expected, (
                f"that of {name} is not the one of its images and labels: other labels must give "
                "another one; use dddm.support.manifest.manifest_of(images=, labels=)"
            )


@DATASET.check(cases=_whole)
def opens_again(subject: Subject, first: Mapping[str, Split]) -> None:
    """Another instance opens the same splits, with equal manifests, images and labels."""
    torch.manual_seed(1)
    second = subject.make().open(subject.made.prepare())
    assert set(first) == set(second), f"splits {set(first)} and then {set(second)}"
    for name, split in first.items():
        other = second[name]
        assert len(split) == len(other), f"{name} had {len(split)} images, then {len(other)}"
        index = _some(split)
        assert_equal(other.images(index), split.images(index), f"images of {name} differ")
        assert _same(split.labels(index), other.labels(index)), f"labels of {name} differ"
        assert split.manifest == other.manifest, (
            f"the manifest of {name} differs: make it of nothing that changes by itself, such as a "
            "time or a path"
        )


@DATASET.check(cases=_whole)
def described(subject: Subject, found: Mapping[str, Split]) -> None:
    """Its info matches the training split."""
    if subject.component.describe is None:
        pytest.skip("it is registered without `describe`")
    said, train = subject.facts(DatasetInfo), found["train"]
    if said is None:
        pytest.skip("with these options it is known only once files are read")
    for what, described, read in (
        ("shape", said.shape, train.shape),
        ("train_images", said.train_images, len(train)),
        ("classes", tuple(said.classes), tuple(train.classes)),
    ):
        assert described == read, f"describe says {what} {described}, but it is {read}"
    if said.class_images:
        every = train.labels(torch.arange(len(train)))
        assert every is not None, "describe counts images of classes, and there are no labels"
        counts = torch.bincount(every, minlength=len(train.classes)).tolist()
        assert list(said.class_images) == counts, (
            f"describe says class_images {said.class_images}, but they are {counts}"
        )


@DATASET.check(cases=lambda subject: [(subject, subject.make())])
def prepares(subject: Subject, dataset: Dataset) -> None:
    """`prepare` can be called twice, and returns an existing folder or None."""
    with subject.absent_files_skip():
        first, second = dataset.prepare(), dataset.prepare()
    assert first == second, f"first {first}, then {second}"
    exists = first is None or (isinstance(first, Path) and first.is_dir())
    assert exists, f"it gave {first!r}, which is not a folder"


@DATASET.check(cases=_whole)
def finds_itself_in_order(subject: Subject, found: Mapping[str, Split]) -> None:
    """`check` finds no problem, and counts the images of each split correctly."""
    if sum(map(len, found.values())) > _FEW:
        pytest.skip(f"there are more than {_FEW:,} images to look at")
    findings = examine_dataset(subject.made)
    assert not findings.problems, f"it finds {[p.what for p in findings.problems[:3]]}"
    counted = {name: said.images for name, said in findings.splits.items()}
    counts = {name: len(split) for name, split in found.items()}
    assert counted == counts, f"it counts {counted}, but there are {counts}"
