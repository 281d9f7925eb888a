"""What a data set promises; see `dddm.interfaces.dataset`.

Legend: N images of a split, B of a batch, C channels, H rows, W columns.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from dddm.data.examine import examine_dataset
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.info import DatasetInfo
from dddm.testing.check import Suite, expect
from dddm.testing.material import BATCHES, expect_equal, expect_tensor
from dddm.testing.subject import LeftOut, Subject

DATASET: Final = Suite("dataset")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LOOKED_AT: Final = 64
"""Images of a split that are compared one by one."""
_FEW: Final = 10_000


def _dataset(subject: Subject) -> Dataset:
    dataset: Dataset = subject.made
    return dataset


def _splits(subject: Subject, dataset: Dataset | None = None) -> Mapping[str, Split]:
    """The splits; where files are missing that the registration names, all is left out."""
    with subject.needing_what_may_be_absent():
        return (dataset or _dataset(subject)).splits()


def _some(split: Split) -> Tensor:
    """Indices of images all over a split, rising, the first and the last among them."""
    return torch.linspace(0, len(split) - 1, min(len(split), _LOOKED_AT)).round().long()


@DATASET.check()
def splits(subject: Subject) -> None:
    """There is a split `train` with images; all splits have one shape and the same classes."""
    found = _splits(subject)
    expect("train" in found, f"the splits are {', '.join(found) or 'none'}", remedy="name it train")
    train = found["train"]
    for name, split in found.items():
        expect(isinstance(split, Split), f"{name} is a {type(split).__name__}, no Split")
        expect(len(split) > 0, f"{name} has {len(split)} images")
        expect(split.shape == train.shape, f"images of {name} are {split.shape}, not {train.shape}")
        expect(
            tuple(split.classes) == tuple(train.classes),
            f"the classes of {name} are not those of train",
        )
        expect(len(set(split.classes)) == len(split.classes), f"classes of {name} share a name")


@DATASET.check()
def images(subject: Subject) -> None:
    """Images are (B, C, H, W), uint8, on the CPU, for odd batches and for none."""
    for name, split in _splits(subject).items():
        for count in (*BATCHES, 0):
            index = torch.arange(min(count, len(split)))
            found = split.images(index)
            what = f"{len(index)} images of {name}"
            wanted = (len(index), *split.shape.as_tuple)
            expect_tensor(found, shape=wanted, dtype=torch.uint8, what=what)
            expect(found.device.type == "cpu", f"{what} are on {found.device}")


@DATASET.check()
def order(subject: Subject) -> None:
    """Images and labels come in the order of the indices, and as often as these name them."""
    for name, split in _splits(subject).items():
        index = _some(split)
        alone = {int(k): split.images(k[None]) for k in index}
        for wanted in (index, index.flip(0), index[[0, -1, 0, 0]]):
            expect_equal(
                split.images(wanted),
                torch.cat([alone[int(k)] for k in wanted]),
                f"images of {name} for indices {wanted[:4].tolist()}… are not those images",
            )
        labelled = split.labels(index)
        if labelled is not None:
            turned = split.labels(index.flip(0))
            expect(
                turned is not None and torch.equal(turned, labelled.flip(0)),
                f"labels of {name} are not in the order of the indices",
            )


@DATASET.check()
def labels(subject: Subject) -> None:
    """Labels are (B,), int64, within 0…classes-1; None exactly where there are no classes."""
    for name, split in _splits(subject).items():
        index = torch.arange(min(len(split), _FEW))
        found = split.labels(index)
        expect(
            (found is None) == (not split.classes),
            f"{name} has {len(split.classes)} classes and "
            + ("no labels" if found is None else "labels"),
        )
        if found is None:
            continue
        expect_tensor(found, shape=(len(index),), dtype=torch.int64, what=f"labels of {name}")
        least, most = int(found.min()), int(found.max())
        expect(
            least >= 0 and most < len(split.classes),
            f"labels of {name} go from {least} to {most}, and there are {len(split.classes)} "
            "classes",
        )


@DATASET.check()
def own_tensors(subject: Subject) -> None:
    """Who changes images that were read changes nothing of the data set."""
    for name, split in _splits(subject).items():
        index = _some(split)
        kept = split.images(index).clone()
        split.images(index).fill_(7)
        expect_equal(
            split.images(index),
            kept,
            f"images of {name} changed with a tensor that was given away",
            remedy="give a copy away, as indexing by a tensor does",
        )


@DATASET.check()
def manifest(subject: Subject) -> None:
    """A split's manifest is a SHA-256 in hexadecimal, another for each split that differs."""
    found = _splits(subject)
    manifests = {}
    for name, split in found.items():
        said = split.manifest
        expect(
            isinstance(said, str) and _SHA256.fullmatch(said) is not None,
            f"that of {name} is {said!r}",
            remedy="use dddm.support.manifest.manifest_of",
        )
        manifests[name] = said
    expect(
        len(set(manifests.values())) == len(manifests),
        "different splits have the same",
        remedy="make it of all images and labels",
    )


@DATASET.check()
def opens_again(subject: Subject) -> None:
    """Opened a second time it has the same splits, with equal manifests, images and labels."""
    first = _splits(subject)
    torch.manual_seed(1)
    second = _splits(subject, subject.make())
    expect(set(first) == set(second), f"splits {set(first)} and then {set(second)}")
    for name, split in first.items():
        other = second[name]
        expect(len(split) == len(other), f"{name} had {len(split)} images, then {len(other)}")
        index = _some(split)
        expect_equal(other.images(index), split.images(index), f"images of {name} differ")
        one, two = split.labels(index), other.labels(index)
        same = one is None if two is None else one is not None and torch.equal(one, two)
        expect(same, f"labels of {name} differ")
        expect(
            split.manifest == other.manifest,
            f"the manifest of {name} is another",
            remedy="let nothing enter it that changes by itself, such as a time or a path",
        )


@DATASET.check()
def described(subject: Subject) -> None:
    """What `describe` says without reading is what the training split has."""
    if subject.component.describe is None:
        raise LeftOut("it is registered without `describe`")
    said = subject.component.info(DatasetInfo, subject.use.options)
    train = _splits(subject)["train"]
    if said is None:
        raise LeftOut("with these options it is known only once files are read")
    for what, told, found in (
        ("shape", said.shape, train.shape),
        ("train_images", said.train_images, len(train)),
        ("classes", tuple(said.classes), tuple(train.classes)),
    ):
        expect(told == found, f"describe says {what} {told}, and it is {found}")


@DATASET.check()
def prepares(subject: Subject) -> None:
    """`prepare` may be called twice, and gives a folder that is there, or None."""
    dataset: Dataset = subject.make()
    with subject.needing_what_may_be_absent():
        places = [dataset.prepare(), dataset.prepare()]
    expect(places[0] == places[1], f"first {places[0]}, then {places[1]}")
    for place in places:
        expect(
            place is None or (isinstance(place, Path) and place.is_dir()),
            f"it gave {place!r}, which is no folder",
        )


@DATASET.check()
def finds_itself_in_order(subject: Subject) -> None:
    """`check` finds no problem, and as many images in each split as there are."""
    found = _splits(subject)
    if sum(map(len, found.values())) > _FEW:
        raise LeftOut(f"there are more than {_FEW:,} images to look at")
    report = examine_dataset(_dataset(subject))
    expect(not report.problems, f"it finds {[problem.what for problem in report.problems[:3]]}")
    counts = {name: said.images for name, said in report.splits.items()}
    expect(
        counts == {name: len(split) for name, split in found.items()},
        f"it counts {counts}, and there are { {n: len(s) for n, s in found.items()} }",
    )
