"""What is known of the built-in data sets without reading an image.  Imports no torch or numpy.

Tests hold each equal to what is read.
"""

from pathlib import Path
from typing import Final

import attrs

from dddm.data.packed_format import read_manifest
from dddm.errors import DataError
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm_datasets.options import (
    Cifar10Options,
    ImageFilesOptions,
    ImageNet64Options,
    NpzOptions,
)

CIFAR10: Final = DatasetInfo(
    shape=ImageShape(channels=3, height=32, width=32),
    train_images=50_000,
    classes=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
)  # fmt: skip

IMAGENET64: Final = DatasetInfo(
    shape=ImageShape(channels=3, height=64, width=64),
    train_images=1_281_167,
    classes=tuple(str(number) for number in range(1, 1001)),
)
"""Its files give the classes numbers, 1…1000, and no names."""


def describe_digits(options: NoOptions) -> DatasetInfo:
    """scikit-learn's digits."""
    del options
    return DatasetInfo(
        shape=ImageShape(channels=1, height=8, width=8),
        train_images=1500,
        classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    )


def describe_cifar10(options: Cifar10Options) -> DatasetInfo:
    """CIFAR-10; whose files are compared with this when they are packed."""
    count = options.train_images
    return CIFAR10 if count is None else attrs.evolve(CIFAR10, train_images=count)


def describe_imagenet64(options: ImageNet64Options) -> DatasetInfo | None:
    """ImageNet 64×64; None for a subset, whose size only its files know."""
    return None if options.subset else IMAGENET64


def describe_packed(options: ImageFilesOptions | NpzOptions) -> DatasetInfo | None:
    """Files of the user's own: as they are packed, where the recipe names that folder.

    Otherwise None: what is in them shows only when they are read.
    """
    if options.packed is None:
        return None
    try:
        packed = read_manifest(Path(options.packed).expanduser())
    except DataError:
        return None
    return DatasetInfo(
        shape=packed.shape, train_images=packed.splits["train"].images, classes=packed.classes
    )
