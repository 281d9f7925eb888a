"""Image shapes that the features accept, and their files of weights.  Imports no torch."""

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, final

from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import (
    Issue,
    Kind,
    NestedComponent,
    RecipeContext,
    WeightFile,
    nested_component,
    option,
)
from dddm.support.files import sha256_of, user_path
from dddm.support.weights import find_weights, verify_hash

DIGITS_SHAPE: Final = ImageShape(channels=1, height=8, width=8)
RESNET20_SHAPE: Final = ImageShape(channels=3, height=32, width=32)

CONVERT: Final = "python -m dddm_features.convert_resnet20 FROM.th resnet20.safetensors"
RESNET20_WEIGHTS: Final = WeightFile(
    name="resnet20.safetensors",
    url="https://github.com/akamaster/pytorch_resnet_cifar10",
    size_bytes=1_092_520,
    sha256="02926273efb1deadb6dc654c7087baea932ef2026d9f854680d6858146d85838",
    instructions=f"take resnet20-12fca82f.th from that repository and convert it: {CONVERT}",
)
INCEPTION_WEIGHTS: Final = WeightFile(
    name="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
    size_bytes=95_628_359,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
"""FID's Inception, as torch-fidelity converted it from TensorFlow."""
CLIP_WEIGHTS: Final = WeightFile(
    name="ViT-B-32.pt",
    url="https://openaipublic.azureedge.net/clip/models/"
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
    size_bytes=353_976_522,
    sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
)
"""OpenAI's TorchScript archive; its URL contains its hash."""
DINOV2_WEIGHTS: Final = WeightFile(
    name="dinov2_vitb14_pretrain.pth",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
    size_bytes=346_378_731,
    sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
)
DINOV2_LARGE_WEIGHTS: Final = WeightFile(
    name="dinov2_vitl14_pretrain.pth",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    size_bytes=1_217_586_395,
    sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
)
"""Both without registers.  Meta publishes no hashes: sizes and hashes are those that public
repositories agree on; they were not compared with downloads."""


@final
@frozen(kw_only=True)
class WeightsOptions:
    """Options of all features whose network reads a file of weights."""

    weights: str | None = option(
        None,
        help="Your own file, in the layout of the default one that `dddm weights list` names.",
    )
    weights_sha256: str | None = option(
        None, help="SHA-256 of `weights`, in hexadecimal; required with it."
    )


_SMALLEST_SIDE: Final = 8
"""Pixels below which there is no feature map to speak of."""
_FEWEST_IMAGES: Final = 10
"""To learn from: below that none would be held out."""


@final
@frozen(kw_only=True)
class LearnedOptions:
    """Options of `learned`."""

    epochs: int = option(
        50, at_least=1, help="Passes over the images by which features are learned."
    )
    channels: int = option(
        32,
        at_least=4,
        help="Channels of the network's first map; the next have twice and four times as many, "
        "and there are as many features as the last has channels.",
    )
    images: NestedComponent | None = nested_component(
        Kind.DATASET,
        optional=True,
        help="Data set on whose training images features are learned; by default the run's.",
    )


def shape_error(name: str, shape: ImageShape) -> str | None:
    """Why the features do not accept images of `shape`; None if they do."""
    only = {"digits-classifier": DIGITS_SHAPE, "resnet20": RESNET20_SHAPE}.get(name)
    if only is not None and shape != only:
        return f"{name} accepts images of {only} (channels×height×width), not {shape}"
    if only is None and shape.channels not in {1, 3}:
        return f"{name} accepts images of 1 or 3 channels, not {shape}"
    if name == "learned" and min(shape.height, shape.width) < _SMALLEST_SIDE:
        return f"{name} accepts images of {_SMALLEST_SIDE} pixels or more at each side, not {shape}"
    return None


def learning_error(shape: ImageShape, *, images: int, of_run: ImageShape | None) -> str | None:
    """Why nothing can be learned on so many images of `shape`; None if it can.

    Args:
        of_run: shape of the images that features are extracted of; None if unknown.
    """
    if of_run is not None and of_run != shape:
        return f"features are learned on images of {shape}, and those of the run are {of_run}"
    if images < _FEWEST_IMAGES:
        return f"features are learned on {_FEWEST_IMAGES} images or more, and there are {images}"
    return shape_error("learned", shape)


def require_shape(name: str, shape: ImageShape) -> None:
    """Check that the features accept images of `shape`.

    Raises:
        DataError: if not.
    """
    problem = shape_error(name, shape)
    if problem is not None:
        raise DataError(problem, where="evaluate.features", remedy=_ANY_SHAPE)


def require_learnable(shape: ImageShape, *, images: int, of_run: ImageShape) -> None:
    """Check that features can be learned; arguments as in `learning_error`.

    Raises:
        DataError: if not.
    """
    problem = learning_error(shape, images=images, of_run=of_run)
    if problem is not None:
        raise DataError(problem, where="the features learned", remedy=_OTHERS)


def check_learned(options: LearnedOptions, context: RecipeContext) -> Iterator[Issue]:
    """The images can be learned from, as far as is known before they are read."""
    run, own = context.data, options.images
    learned_on = run if own is None else own.info(DatasetInfo)
    shapes = [one.shape for one in (run, learned_on) if one is not None]
    problem = next((e for s in shapes if (e := shape_error("learned", s)) is not None), None)
    if problem is not None:
        yield Issue(option="use", what=problem, remedy=_ANY_SHAPE)
    elif learned_on is not None:
        problem = learning_error(
            learned_on.shape,
            images=learned_on.train_images,
            of_run=None if run is None else run.shape,
        )
        if problem is not None:
            option_name = "use" if own is None else "images"
            yield Issue(option=option_name, what=problem, remedy=_OTHERS)


_OTHERS: Final = "learn them on other images, or use other features"
_ANY_SHAPE: Final = 'use features = "random-convolutions", or "pixels", which accept any shape'


@cache  # equal registrations compare equal
def check_of(name: str) -> Callable[[Any, RecipeContext], Iterator[Issue]]:
    """A check of the data's shape and of the options for weights."""

    def check(options: Any, context: RecipeContext) -> Iterator[Issue]:
        problem = None if context.data is None else shape_error(name, context.data.shape)
        if problem is not None:
            yield Issue(option="use", what=problem, remedy=_ANY_SHAPE)
        if isinstance(options, WeightsOptions):
            yield from _check_weights(options)

    return check


def _check_weights(options: WeightsOptions) -> Iterator[Issue]:
    if (options.weights is None) != (options.weights_sha256 is None):
        missing = "weights" if options.weights is None else "weights_sha256"
        yield Issue(
            option=missing,
            what="weights and weights_sha256 are used together",
            remedy=f"add {missing}, or remove the other",
        )
    sha256 = options.weights_sha256
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        yield Issue(
            option="weights_sha256",
            what=f"{sha256!r} is not a SHA-256: 64 hexadecimal digits",
            remedy="write what `sha256sum FILE` prints",
        )


@cache
def needs(file: WeightFile) -> Callable[[WeightsOptions], tuple[WeightFile, ...]]:
    """The files that options need: `file`, unless they name another or the data folder has it."""

    def needed(options: WeightsOptions) -> tuple[WeightFile, ...]:
        there = any((folder / file.name).is_file() for folder in _data_folders(file))
        return () if options.weights is not None or there else (file,)

    return needed


def weights_path(options: WeightsOptions, file: WeightFile) -> Path:
    """The verified file: the user's own, or `file`.

    Raises:
        DataError: if it does not exist, or its size or hash is wrong.
    """
    if options.weights is None:
        return find_weights(file, also_in=_data_folders(file))
    path = user_path(options.weights)
    if not path.is_file():
        raise DataError(
            f"the file {options.weights} does not exist",
            where=str(path.absolute()),
            remedy="correct weights, or remove it and weights_sha256",
        )
    if options.weights_sha256 is None:
        raise DataError(
            "your own weights are used only with their hash",
            where=str(path.absolute()),
            remedy=f"write weights_sha256 = {sha256_of(path)!r} if this is the right file",
        )
    verify_hash(path, sha256=options.weights_sha256, remedy="correct weights_sha256 or weights")
    return path


def remedy_for(file: WeightFile) -> str:
    return f"use the file {file.name}, which `dddm weights list` names"


def _data_folders(file: WeightFile) -> tuple[Path, ...]:
    """ResNet-20 may also be kept with the data sets, in $DDDM_DATA/cifar10-resnet20."""
    data = os.environ.get("DDDM_DATA")
    if file != RESNET20_WEIGHTS or not data:
        return ()
    return (user_path(data) / "cifar10-resnet20",)
