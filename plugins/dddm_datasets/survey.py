"""A quick look at the files of the built-in data sets.  Imports no torch."""

from collections.abc import Mapping
from typing import Final

from dddm.data.survey import survey_source
from dddm.interfaces.plugin import DataSurvey, Survey
from dddm.support.files import user_path
from dddm_datasets.cifar10 import Cifar10Source
from dddm_datasets.image_files import FolderFiles, ImageFiles, ZipFiles
from dddm_datasets.image_source import ImageSource
from dddm_datasets.imagenet64 import ImageNet64Source
from dddm_datasets.npz import NpzSource
from dddm_datasets.options import (
    Cifar10Options,
    ImageFilesOptions,
    ImageNet64Options,
    NpzOptions,
    ParquetOptions,
    WebDatasetOptions,
)
from dddm_datasets.table_files import LocalTables
from dddm_datasets.tar_files import TarFiles


def cifar10(options: Cifar10Options) -> DataSurvey:
    return survey_source(
        Cifar10Source(path=options.path),
        name="cifar10",
        packed=options.packed,
        train_images=options.train_images,
    )


def imagenet64(options: ImageNet64Options) -> DataSurvey:
    source = ImageNet64Source(path=options.path, subset=options.subset)
    return survey_source(source, name="imagenet64", packed=options.packed)


def folder(options: ImageFilesOptions) -> DataSurvey:
    return _files("folder", FolderFiles(path=user_path(options.path)), options)


def zip_archive(options: ImageFilesOptions) -> DataSurvey:
    return _files("zip", ZipFiles(path=user_path(options.path)), options)


def webdataset(options: WebDatasetOptions) -> DataSurvey:
    labels = options.classes == "labels"
    return _files(
        "webdataset", TarFiles(path=user_path(options.path), with_classes=labels), options
    )


def parquet(options: ParquetOptions) -> DataSurvey:
    label = options.label if options.classes == "labels" else None
    files = LocalTables(path=user_path(options.path), image=options.image, label=label)
    return _files("parquet", files, options)


def _files(
    name: str, files: ImageFiles, options: ImageFilesOptions | WebDatasetOptions | ParquetOptions
) -> DataSurvey:
    return survey_source(
        ImageSource(files=files, options=options),
        name=name,
        packed=options.packed,
        train_images=options.train_images,
    )


def npz(options: NpzOptions) -> DataSurvey:
    return survey_source(
        NpzSource(options=options),
        name="npz",
        packed=options.packed,
        train_images=options.train_images,
    )


SURVEYS: Final[Mapping[str, Survey]] = {
    "cifar10": cifar10,
    "imagenet64": imagenet64,
    "folder": folder,
    "zip": zip_archive,
    "npz": npz,
    "webdataset": webdataset,
    "parquet": parquet,
}
