"""Built-in data sets."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_datasets.options import (
    Cifar10Options,
    HuggingFaceOptions,
    ImageFilesOptions,
    ImageNet64Options,
    NpzOptions,
    ParquetOptions,
    WebDatasetOptions,
    describe_cifar10,
    describe_digits,
    describe_imagenet64,
    describe_packed,
    survey_of,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    registrar.add(
        Kind.DATASET,
        "digits",
        target="dddm_datasets.digits:Digits",
        summary="scikit-learn's 1,797 handwritten digits, 8×8, grey; needs no download.",
        describe=describe_digits,
    )
    registrar.add(
        Kind.DATASET,
        "cifar10",
        target="dddm_datasets.file_backed:cifar10",
        options=Cifar10Options,
        summary="CIFAR-10's 60,000 photographs, 32×32, from its canonical python batches.",
        survey=survey_of("cifar10"),
        describe=describe_cifar10,
    )
    registrar.add(
        Kind.DATASET,
        "imagenet64",
        target="dddm_datasets.file_backed:imagenet64",
        options=ImageNet64Options,
        summary="ImageNet 64×64, 1,281,167 photographs of 1000 classes, from its official npz "
        "batches.",
        survey=survey_of("imagenet64"),
        describe=describe_imagenet64,
    )
    registrar.add(
        Kind.DATASET,
        "folder",
        target="dddm_datasets.file_backed:folder",
        options=ImageFilesOptions,
        summary="A folder of images (png, jpeg, webp, bmp, gif, tiff); classes from its folders.",
        survey=survey_of("folder"),
        describe=describe_packed,
        conformance=Conformance(examples=({"path": "images"},)),
    )
    registrar.add(
        Kind.DATASET,
        "zip",
        target="dddm_datasets.file_backed:zip_archive",
        options=ImageFilesOptions,
        summary="Images in a zip archive, read without unpacking.",
        survey=survey_of("zip"),
        describe=describe_packed,
        conformance=Conformance(examples=({"path": "images.zip"},)),
    )
    registrar.add(
        Kind.DATASET,
        "npz",
        target="dddm_datasets.file_backed:npz",
        options=NpzOptions,
        summary="An .npz file of uint8 images, with labels or without.",
        survey=survey_of("npz"),
        describe=describe_packed,
        conformance=Conformance(examples=({"path": "images.npz"},)),
    )
    registrar.add(
        Kind.DATASET,
        "webdataset",
        target="dddm_datasets.file_backed:webdataset",
        options=WebDatasetOptions,
        summary="Images in tar archives, as WebDataset keeps them, read without unpacking.",
        survey=survey_of("webdataset"),
        describe=describe_packed,
        conformance=Conformance(examples=({"path": "images.tar"},)),
    )
    registrar.add(
        Kind.DATASET,
        "parquet",
        target="dddm_datasets.file_backed:parquet",
        options=ParquetOptions,
        summary="Parquet or arrow files, as Hugging Face's datasets writes them.",
        survey=survey_of("parquet"),
        describe=describe_packed,
        conformance=Conformance(examples=({"path": "images.parquet"},)),
    )
    registrar.add(
        Kind.DATASET,
        "hugging-face",
        target="dddm_datasets.file_backed:hugging_face",
        options=HuggingFaceOptions,
        summary="A data set of the Hugging Face Hub, downloaded and packed once.",
        describe=describe_packed,
        conformance=Conformance(examples=({"name": "./images"},)),
    )
