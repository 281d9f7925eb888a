"""Baselines: images made from the training images x without a network.

    class-gaussian  μ + Σᵢ zᵢ (xᵢ − μ) / √(n − 1),  zᵢ ~ N(0, 1),  over the n images xᵢ of a class
    class-means     μ of each class, repeated
    blurred-f       x, averaged over blocks of f×f pixels and resized back bilinearly

all clamped and rounded to 8 bits.  Draws of `class-gaussian`, before that, have the mean μ and the
covariance Σᵢ (xᵢ − μ)(xᵢ − μ)ᵀ / (n − 1) of the class's images, without a D×D matrix; with fewer
images than dimensions its rank is n − 1, as that of the images.  Of large data sets both are of
a random sample: at most 5,000 images of a class, 250,000 of all, and 2²⁶ values in memory.  Without
classes, all images are one class.  Classes occur as often as among the training images.

Legend: N images of a baseline, M training images, n of a class, B images of a batch, K classes,
C channels, H rows, W columns, D = C·H·W.
"""

import math
from collections.abc import Callable
from typing import Final, final

import torch
from attrs import define, field, frozen
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Extraction
from dddm.interfaces.info import ImageShape
from dddm.interfaces.measurement import CLASS_GAUSSIAN
from dddm.support.cache import key_of
from dddm.support.noise import generator_for, noise_by_index

_FORMAT: Final = 1
"""In the cache key of features: raise it whenever images change."""
_SEED: Final = 0
_CLASS_IMAGES: Final = 5_000
_ALL_IMAGES: Final = 250_000
_VALUES: Final = 2**26


@final
@frozen(kw_only=True, eq=False)
class BaselineImages:
    """N images of a baseline, each different one stored once.

    Attributes:
        words: what they are, such as "a Gaussian for each class".
        images: the different images.
        index_N: which of them each of the N images is.
    """

    name: str
    words: str
    images: Split
    index_N: Tensor

    def repeat(self, found: Extraction) -> Extraction:
        """What was extracted of all N images, given what was of the different ones."""

        def rows(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[self.index_N]

        return Extraction(
            features=found.features[self.index_N],
            logits=rows(found.logits),
            image_statistics=rows(found.image_statistics),
            labels=rows(found.labels),
        )


def applies(name: str, shape: ImageShape) -> bool:
    """Whether there is such a baseline of these images: a blur needs sides that it divides."""
    factor = _blur_of(name)
    return factor is None or (shape.height % factor == 0 and shape.width % factor == 0)


def baseline_images(name: str, train: Split, *, images: int) -> BaselineImages:
    """`images` images of a baseline; the same for the same name, training images and number."""
    factor = _blur_of(name)
    if factor is not None:
        return _blurred(name, train, factor=factor, images=images)
    labels = train.labels(torch.arange(len(train)))
    label_M = torch.zeros(len(train), dtype=torch.int64) if labels is None else labels
    # The labels at equal distances in the sorted list: in proportion, and class after class.
    place_N = (torch.arange(images) * 2 + 1) * len(train) // (2 * images)
    label_N = label_M.sort().values[place_N]
    classes = _Classes(train=train, label_M=label_M)
    if name == CLASS_GAUSSIAN:
        words = "one Gaussian" if labels is None else "a Gaussian for each class"
        index_N, made_label_B, draw = torch.arange(images), label_N, classes.draw
    else:
        words = "the mean image" if labels is None else "the mean image of each class"
        made_label_B = torch.tensor(sorted(set(label_N.tolist())))
        index_N = torch.searchsorted(made_label_B, label_N)
        draw = classes.mean
    made = _MadeImages(
        name=name, train=train, label_B=made_label_B, labelled=labels is not None, make=draw
    )
    return BaselineImages(name=name, words=words, images=made, index_N=index_N)


def _blur_of(name: str) -> int | None:
    kind, _, factor = name.partition("-")
    return int(factor) if kind == "blurred" else None


def _blurred(name: str, train: Split, *, factor: int, images: int) -> BaselineImages:
    order = torch.randperm(len(train), generator=generator_for(_SEED, "blurred images"))
    chosen_B = order[:images]

    def make(index: Tensor, _label: Tensor) -> Tensor:
        return blur(train.images(chosen_B[index]).float(), factor=factor)

    labels = train.labels(chosen_B)
    label_B = torch.zeros(len(chosen_B), dtype=torch.int64) if labels is None else labels
    made = _MadeImages(
        name=name, train=train, label_B=label_B, labelled=labels is not None, make=make
    )
    words = f"training images at 1/{factor} of their size"
    index_N = torch.arange(images) % len(chosen_B)
    return BaselineImages(name=name, words=words, images=made, index_N=index_N)


def blur(images: Tensor, *, factor: int) -> Tensor:
    """Images (B, C, H, W), averaged over blocks of `factor`² pixels and resized back."""
    small_BChw = avg_pool2d(images, factor)
    return interpolate(small_BChw, size=images.shape[-2:], mode="bilinear", align_corners=False)


def gaussian_draws(images: Tensor, noise: Tensor) -> Tensor:
    """Draws (B, D) of the Gaussian with mean and covariance of images (n, D), by noise (B, n)."""
    mean_D = images.mean(dim=0)
    return mean_D + noise @ (images - mean_D) / math.sqrt(max(len(images) - 1, 1))


@final
@define(kw_only=True, eq=False)
class _Classes:
    """The training images of one class at a time: those of the class asked last are kept."""

    train: Split
    label_M: Tensor
    _last: tuple[int, Tensor] | None = field(default=None, init=False)

    def draw(self, index: Tensor, label: Tensor) -> Tensor:
        """Draws (B, C, H, W) of the classes' Gaussians; each depends on its index alone."""

        def of_class(image_nD: Tensor, index: Tensor) -> Tensor:
            noise_Bn = noise_by_index(
                seed=_SEED, purpose=CLASS_GAUSSIAN, index=index, shape=(len(image_nD),)
            )
            return gaussian_draws(image_nD, noise_Bn)

        return self._by_class(index, label, of_class)

    def mean(self, index: Tensor, label: Tensor) -> Tensor:
        """The mean images (B, C, H, W) of classes."""
        return self._by_class(
            index, label, lambda image_nD, index: image_nD.mean(dim=0).expand(len(index), -1)
        )

    def _by_class(
        self, index: Tensor, label: Tensor, make: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        made_BD = torch.empty(len(index), self.train.shape.values)
        for k in sorted(set(label.tolist())):
            made_BD[label == k] = make(self._images_of(k), index[label == k])
        return made_BD.view(len(index), *self.train.shape.as_tuple)

    def _images_of(self, label: int) -> Tensor:
        """Images (n, D), float32, of a class, at random if there are too many."""
        if self._last is None or self._last[0] != label:
            classes = max(len(self.train.classes), 1)
            most = min(_CLASS_IMAGES, _ALL_IMAGES // classes, _VALUES // self.train.shape.values)
            index_n = (self.label_M == label).nonzero()[:, 0]
            order = torch.randperm(len(index_n), generator=generator_for(_SEED, "fit", label))
            images_nCHW = self.train.images(index_n[order[: max(most, 2)]].sort().values)
            self._last = (label, images_nCHW.flatten(1).float())
        return self._last[1]


@final
@frozen(kw_only=True, eq=False)
class _MadeImages(Split):
    """Images that are made when they are read.

    Attributes:
        make: the images (B, C, H, W), float32, in 0…255 or beyond, of indices and labels (B,).
    """

    name: str
    train: Split
    label_B: Tensor
    labelled: bool
    make: Callable[[Tensor, Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.label_B)

    @property
    def shape(self) -> ImageShape:
        return self.train.shape

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def manifest(self) -> str:
        return key_of(
            {
                "format": _FORMAT,
                "baseline": self.name,
                "train": self.train.manifest,
                "labels": self.label_B.tolist(),
            }
        )

    def images(self, index: Tensor) -> Tensor:
        return self.make(index, self.label_B[index]).round().clamp(0, 255).to(torch.uint8)

    def labels(self, index: Tensor) -> Tensor | None:
        return self.label_B[index] if self.labelled else None
