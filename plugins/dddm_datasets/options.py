"""Options of the built-in data sets.  Imports no torch."""

from typing import Literal, final

from attrs import frozen

from dddm.interfaces.plugin import option

PACKED_HELP = (
    "Folder of the packed array, made when it is absent.  Without it: one in the cache "
    "($DDDM_CACHE, else ~/.cache/dddm), whose name changes with the files and the options."
)


@final
@frozen(kw_only=True)
class Cifar10Options:
    """Where CIFAR-10 is."""

    path: str | None = option(
        None,
        help="Folder of the python batches, or the one that holds cifar-10-batches-py.  Without "
        "it: $DDDM_DATA, then ./data.",
    )
    packed: str | None = option(None, help=PACKED_HELP)
    train_images: int | None = option(
        None,
        at_least=1,
        at_most=50_000,
        help="Train on so many images only, the first of every class alike; samples are then "
        "compared with these.  Without it: all 50,000.",
    )


@final
@frozen(kw_only=True)
class ImageNet64Options:
    """Where ImageNet 64×64 is."""

    path: str | None = option(
        None,
        help="Folder of the npz batches, or the one that holds the unpacked archives.  Without "
        "it: $DDDM_DATA, then ./data.",
    )
    packed: str | None = option(None, help=PACKED_HELP)
    subset: bool = option(
        default=False, help="Use the batches that are there, though they are not all."
    )


@final
@frozen(kw_only=True)
class NpzOptions:
    """How to read one or two .npz files of images."""

    path: str = option(
        help="An .npz file with images, uint8, N×H×W×C or N×C×H×W, and labels where there are "
        "any; ADM's arr_0 and arr_1 are known too."
    )
    held_out_path: str | None = option(None, help="Another such file with the held-out images.")
    packed: str | None = option(None, help=PACKED_HELP)
    layout: Literal["auto", "nhwc", "nchw"] = option(
        "auto", help="Which axis holds the channels; auto: the one that is 1 or 3 long."
    )
    classes: Literal["labels", "none"] = option(
        "labels", help="none: do without the labels, where the file has any."
    )
    held_out_images: int = option(
        0, at_least=0, help="How many images are held out, evenly over classes and order."
    )


@final
@frozen(kw_only=True)
class ImageFilesOptions:
    """How to read a folder, or a zip archive, of images."""

    path: str = option(
        help="The folder or archive.  If its only top folders are train and val, test or "
        "held-out, these are the splits; within a split, each top folder is a class."
    )
    packed: str | None = option(None, help=PACKED_HELP)
    classes: Literal["folders", "none"] = option(
        "folders", help="Whether the top folders are classes; none: without classes."
    )
    held_out_images: int = option(
        0, at_least=0, help="How many images are held out, evenly over classes and order."
    )
    size: int | None = option(
        None,
        at_least=1,
        help="Crop each image to its central square and resize it to so many pixels (Lanczos, "
        "antialiased).  Without it all images must have one size.",
    )
    channels: Literal["rgb", "grey"] = option(
        "rgb", help="What images are converted to; transparency becomes white."
    )
