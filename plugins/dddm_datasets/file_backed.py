"""The data sets that are read from files: each a source, packed once.

They are functions, not classes: what differs is the source, and `PackedDataset` does the rest.
"""

from pathlib import Path

from dddm.data.packed import PackedDataset
from dddm.interfaces.dataset import Dataset
from dddm_datasets.cifar10_source import Cifar10Source
from dddm_datasets.first_images import FirstImages
from dddm_datasets.image_files import FolderFiles, ZipFiles
from dddm_datasets.image_source import ImageSource
from dddm_datasets.imagenet64_source import ImageNet64Source
from dddm_datasets.npz_source import NpzSource
from dddm_datasets.options import (
    Cifar10Options,
    ImageFilesOptions,
    ImageNet64Options,
    NpzOptions,
)


def cifar10(options: Cifar10Options) -> Dataset:
    """CIFAR-10: `train` has 50,000 images, or its first; `held-out` the 10,000 test images."""
    source = Cifar10Source(path=options.path)
    whole = PackedDataset(name="cifar10", source=source, packed=options.packed)
    count = options.train_images
    return whole if count is None else FirstImages(whole, count=count)


def imagenet64(options: ImageNet64Options) -> Dataset:
    """ImageNet 64×64: `train` has 1,281,167 images, `held-out` the 50,000 validation images."""
    source = ImageNet64Source(path=options.path, subset=options.subset)
    return PackedDataset(name="imagenet64", source=source, packed=options.packed)


def folder(options: ImageFilesOptions) -> Dataset:
    """Files of images in a folder."""
    source = ImageSource(files=FolderFiles(path=_absolute(options.path)), options=options)
    return PackedDataset(name="folder", source=source, packed=options.packed)


def zip_archive(options: ImageFilesOptions) -> Dataset:
    """Files of images in a zip archive, which is not unpacked."""
    source = ImageSource(files=ZipFiles(path=_absolute(options.path)), options=options)
    return PackedDataset(name="zip", source=source, packed=options.packed)


def npz(options: NpzOptions) -> Dataset:
    """Arrays of images in .npz files."""
    return PackedDataset(name="npz", source=NpzSource(options=options), packed=options.packed)


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()
