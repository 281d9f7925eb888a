"""Data sets that are read from files: each is a source that is packed once."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from dddm.data.in_memory_split import InMemorySplit
from dddm.data.packed import PackedDataset
from dddm.data.source import PackSource
from dddm.errors import DataError
from dddm.interfaces.data_report import DataReport, ProgressCallback, no_progress
from dddm.interfaces.dataset import Dataset, Split
from dddm.support.files import user_path
from dddm_datasets.cifar10 import Cifar10Source
from dddm_datasets.image_files import FolderFiles, ZipFiles
from dddm_datasets.image_source import ImageSource
from dddm_datasets.imagenet64 import ImageNet64Source
from dddm_datasets.npz import NpzSource
from dddm_datasets.options import (
    Cifar10Options,
    HuggingFaceOptions,
    ImageFilesOptions,
    ImageNet64Options,
    ImageOptions,
    NpzOptions,
    ParquetOptions,
    WebDatasetOptions,
)
from dddm_datasets.table_files import HubTables, LocalTables
from dddm_datasets.tar_files import TarFiles


def cifar10(options: Cifar10Options) -> Dataset:
    """`train` has 50,000 images, or the first of them; `held-out` the 10,000 test images."""
    source = Cifar10Source(path=options.path)
    return _packed("cifar10", source, options)


def imagenet64(options: ImageNet64Options) -> Dataset:
    """`train` has 1,281,167 images, `held-out` the 50,000 validation images."""
    source = ImageNet64Source(path=options.path, subset=options.subset)
    return PackedDataset(name="imagenet64", source=source, packed=options.packed)


def folder(options: ImageFilesOptions) -> Dataset:
    source = ImageSource(files=FolderFiles(path=user_path(options.path)), options=options)
    return _packed("folder", source, options)


def zip_archive(options: ImageFilesOptions) -> Dataset:
    source = ImageSource(files=ZipFiles(path=user_path(options.path)), options=options)
    return _packed("zip", source, options)


def webdataset(options: WebDatasetOptions) -> Dataset:
    labels = options.classes == "labels"
    files = TarFiles(path=user_path(options.path), with_classes=labels)
    return _packed("webdataset", ImageSource(files=files, options=options), options)


def parquet(options: ParquetOptions) -> Dataset:
    label = options.label if options.classes == "labels" else None
    files = LocalTables(path=user_path(options.path), image=options.image, label=label)
    return _packed("parquet", ImageSource(files=files, options=options), options)


def hugging_face(options: HuggingFaceOptions) -> Dataset:
    files = HubTables(
        name=options.name,
        subset=options.subset,
        revision=options.revision,
        image=options.image,
        label=options.label if options.classes == "labels" else None,
    )
    return _packed("hugging-face", ImageSource(files=files, options=options), options)


def npz(options: NpzOptions) -> Dataset:
    return _packed("npz", NpzSource(options=options), options)


def _packed(
    name: str, source: PackSource, options: Cifar10Options | ImageOptions | NpzOptions
) -> Dataset:
    whole = PackedDataset(name=name, source=source, packed=options.packed)
    count = options.train_images
    return whole if count is None else FirstImages(whole, count=count)


@final
class FirstImages(Dataset):
    """A data set whose `train` is cut to its first images, in equal shares of its classes."""

    def __init__(self, whole: Dataset, *, count: int) -> None:
        self._whole = whole
        self._count = count
        self._splits: Mapping[str, Split] | None = None

    def prepare(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> Path | None:
        return self._whole.prepare(progress=progress, workers=workers)

    def check(
        self, *, progress: ProgressCallback = no_progress, workers: int | None = None
    ) -> DataReport | None:
        return self._whole.check(progress=progress, workers=workers)

    def splits(self) -> Mapping[str, Split]:
        return self._splits or self.open(self.prepare())

    def open(self, prepared: Path | None) -> Mapping[str, Split]:
        """The splits; the remaining images of `train` are copied into memory once.

        Raises:
            DataError: if there are fewer images than asked for.
        """
        if self._splits is None:
            splits = self._whole.open(prepared)
            train = splits["train"]
            if self._count > len(train):
                raise DataError(
                    f"there are {len(train):,} training images, fewer than {self._count:,}",
                    where="data.train_images",
                    remedy=f"use {len(train)} or fewer, or leave train_images out for all",
                )
            labels_N = train.labels(torch.arange(len(train)))
            one_class = torch.zeros(len(train), dtype=torch.int64)
            index = first_of_each_class(
                one_class if labels_N is None else labels_N, count=self._count
            )
            cut = InMemorySplit(
                all_images=train.images(index),
                all_labels=None if labels_N is None else labels_N[index],
                class_names=train.classes,
            )
            self._splits = {**splits, "train": cut}
        return self._splits


def first_of_each_class(labels_N: Tensor, *, count: int) -> Tensor:
    """Ascending indices of the first images of each class, `count` in all.

    Every class gets its share to within one image, as long as it has enough; nothing is random.

    Args:
        labels_N: (N,), int64.
        count: at most N.
    """
    by_class = torch.argsort(labels_N, stable=True)
    sizes = torch.bincount(labels_N)
    starts = sizes.cumsum(0) - sizes
    rank_in_class_N = torch.empty_like(labels_N)
    rank_in_class_N[by_class] = torch.arange(len(labels_N)) - starts[labels_N[by_class]]
    return torch.argsort(rank_in_class_N, stable=True)[:count].sort().values
