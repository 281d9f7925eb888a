"""Options of the built-in data sets, and what is known of them without reading images.

Imports no torch and no numpy.
"""

from functools import cache
from typing import Any, Final, Literal, final

import attrs
from attrs import frozen

from dddm.data.packed_format import read_manifest
from dddm.errors import DataError
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import DataSurvey, NoOptions, Survey, option
from dddm.support.files import user_path

PACKED_HELP = (
    "Folder of the packed array, made if it does not exist.  Default: a folder in the cache "
    "($DDDM_CACHE, else ~/.cache/dddm) whose name changes with the files and the options."
)
HELD_OUT_HELP = "Number of images to hold out, spread evenly over classes and file order."
TRAIN_HELP = (
    "Train on this many images only, the first of each class in equal shares; samples are then "
    "compared with these.  Default: all."
)

IMAGE_COLUMN_HELP = "The column of images: encoded, as bytes or as bytes with a path."
LABEL_COLUMN_HELP = "The column of labels: numbers, whose names are used if known, or text."

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
"""Its files number the classes 1…1000 and hold no names."""


@final
@frozen(kw_only=True)
class Cifar10Options:
    """Where CIFAR-10 is."""

    path: str | None = option(
        None,
        help="Folder of the python batches, or the folder that contains cifar-10-batches-py.  "
        "Default: $DDDM_DATA, then ./data.",
    )
    packed: str | None = option(None, help=PACKED_HELP)
    train_images: int | None = option(
        None,
        at_least=1,
        at_most=50_000,
        help="Train on this many images only, the first of each class in equal shares; samples "
        "are then compared with these.  Default: all 50,000.",
    )


@final
@frozen(kw_only=True)
class ImageNet64Options:
    """Where ImageNet 64×64 is."""

    path: str | None = option(
        None,
        help="Folder of the npz batches, or the folder that contains the unpacked archives.  "
        "Default: $DDDM_DATA, then ./data.",
    )
    packed: str | None = option(None, help=PACKED_HELP)
    subset: bool = option(default=False, help="Accept an incomplete set of batches.")


@final
@frozen(kw_only=True)
class NpzOptions:
    """How to read one or two .npz files of images."""

    path: str = option(
        help="An .npz file with `images`, uint8, N×H×W×C or N×C×H×W, and optionally `labels`; "
        "ADM's names arr_0 and arr_1 are accepted."
    )
    held_out_path: str | None = option(None, help="A second such file with held-out images.")
    packed: str | None = option(None, help=PACKED_HELP)
    layout: Literal["auto", "nhwc", "nchw"] = option(
        "auto", help="Which axis holds the channels; auto: the axis of length 1 or 3."
    )
    classes: Literal["labels", "none"] = option(
        "labels", help="none: ignore the labels, if the file has any."
    )
    held_out_images: int = option(0, at_least=0, help=HELD_OUT_HELP)
    train_images: int | None = option(None, at_least=1, help=TRAIN_HELP)


@frozen(kw_only=True)
class ImageOptions:
    """How images that are files, wherever they are kept, become arrays."""

    packed: str | None = option(None, help=PACKED_HELP)
    held_out_images: int = option(0, at_least=0, help=HELD_OUT_HELP)
    train_images: int | None = option(None, at_least=1, help=TRAIN_HELP)
    size: int | None = option(
        None,
        at_least=1,
        help="Crop each image to its central square and resize it to this many pixels.  By "
        "default nothing is resized, and all images must have the same size.",
    )
    resize: Literal["lanczos", "adm"] = option(
        "lanczos",
        help="How to resize: lanczos crops, then resizes (antialiased); adm halves by boxes while "
        "it can, resizes bicubically, then crops, and ignores EXIF, as the code of ADM, with whose "
        "ImageNet 64×64 published FID is taken.",
    )
    damaged: Literal["refuse", "skip"] = option(
        "refuse",
        help="What happens to images that are damaged: refuse stops and names them; skip leaves "
        "them out and counts them.",
    )
    channels: Literal["rgb", "grey"] = option(
        "rgb", help="Color mode that images are converted to."
    )
    alpha: Literal["white", "black", "refuse"] = option(
        "white",
        help="What transparent pixels are put on; refuse stops at the first image that has any.",
    )


@final
@frozen(kw_only=True)
class ImageFilesOptions(ImageOptions):
    """How to read a folder, or a zip archive, of images."""

    path: str = option(
        help="The folder or archive.  If its only top folders are train and val, test or "
        "held-out, these are the splits; within a split, each top folder is a class."
    )
    classes: Literal["folders", "none"] = option(
        "folders", help="Whether the top folders are classes; none: no classes."
    )


@final
@frozen(kw_only=True)
class WebDatasetOptions(ImageOptions):
    """How to read tar archives of images."""

    path: str = option(
        help="A tar archive, or a folder of them.  If the names of some begin with train and of "
        "others with val, test or held-out, these are the splits."
    )
    classes: Literal["labels", "none"] = option(
        "labels",
        help="labels: from each sample's .cls file, or from label in its .json; where there are "
        "none, each top folder is a class.  none: no classes.",
    )


@final
@frozen(kw_only=True)
class ParquetOptions(ImageOptions):
    """How to read parquet and arrow files of images."""

    path: str = option(
        help="A .parquet or .arrow file, or a folder of them.  If the names of some, or of their "
        "folders, begin with train and of others with val, test or held-out, these are the splits."
    )
    image: str = option("image", help=IMAGE_COLUMN_HELP)
    label: str = option("label", help=LABEL_COLUMN_HELP)
    classes: Literal["labels", "none"] = option("labels", help="none: ignore the labels.")


@final
@frozen(kw_only=True)
class HuggingFaceOptions(ImageOptions):
    """Which data set of the Hugging Face Hub to read."""

    name: str = option(help="Its name on the Hub, as user/name, or a folder of such a data set.")
    subset: str | None = option(None, help="Which of its configurations, where it has several.")
    revision: str | None = option(
        None,
        help="A commit, tag or branch; name a commit to have the same images wherever the recipe "
        "is run.  What is packed already is not compared with the Hub.",
    )
    image: str = option("image", help=IMAGE_COLUMN_HELP)
    label: str = option("label", help=LABEL_COLUMN_HELP)
    classes: Literal["labels", "none"] = option("labels", help="none: ignore the labels.")


def describe_digits(options: NoOptions) -> DatasetInfo:
    del options
    return DatasetInfo(
        shape=ImageShape(channels=1, height=8, width=8),
        train_images=1500,
        classes=tuple("0123456789"),
        class_images=(149, 152, 147, 153, 151, 152, 151, 150, 145, 150),
    )


def describe_cifar10(options: Cifar10Options) -> DatasetInfo:
    count = options.train_images
    return CIFAR10 if count is None else attrs.evolve(CIFAR10, train_images=count)


def describe_imagenet64(options: ImageNet64Options) -> DatasetInfo | None:
    """None for a subset, whose size is known only once its files are read."""
    return None if options.subset else IMAGENET64


def describe_packed(options: ImageOptions | NpzOptions) -> DatasetInfo | None:
    """The user's own files, from the manifest if the recipe names a folder that is packed."""
    if options.packed is None:
        return None
    try:
        packed = read_manifest(user_path(options.packed))
    except DataError:
        return None
    images = packed.splits["train"].images
    if options.train_images is not None:
        images = min(images, options.train_images)
    return DatasetInfo(shape=packed.shape, train_images=images, classes=packed.classes)


@cache  # equal registrations compare equal
def survey_of(name: str) -> Survey:
    """What looks at the files of a data set; it imports numpy and Pillow when it is called."""

    def survey(options: Any) -> DataSurvey:
        from dddm_datasets import survey as surveys

        return surveys.SURVEYS[name](options)

    return survey
