"""What suits some images and an objective: for recipes that leave tables out, and `dddm init`.

Settings are those of the recipes `arena_…`, of networks that train in an hour on one core;
docs/objectives.md says which of them were measured, and on what.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from attrs import frozen

from dddm.errors import DataError
from dddm.interfaces.info import DatasetInfo, ObjectiveInfo

FEWEST_IMAGES: Final = 20
"""From fewer nothing is learned, and nothing could be held out."""
FEWEST_OF_CLASS: Final = 20
"""Images of a class below which it cannot be learned."""
_MOST_CLASSES: Final = 1000
_LARGE: Final = 32
_MEDIUM: Final = 16
_SMALLEST_MAP: Final = 4
_SETS_OF_IMAGES: Final = 128
_MOST_REAL: Final = 128
MOST_BATCH: Final = 64
_LEARNED_IMAGES: Final = 100_000
"""Images that features are learned on, in all passes together."""
_STEPS: Final = 2000
_PICTURES: Final = 10
_NARROWEST: Final = 8
"""Channels of any stage."""
_WIDEST: Final = 256


@final
@frozen(kw_only=True)
class Images:
    """The training images, as choices depend on them.

    Attributes:
        fewest: of the smallest class, or of all where classes are not used.
        uses_classes: whether the network is to be given them.
    """

    info: DatasetInfo
    fewest: int
    uses_classes: bool

    @classmethod
    def of(cls, info: DatasetInfo) -> "Images":
        """Where it is not known, every class has its share."""
        classes = len(info.classes)
        counts = info.class_images or (info.train_images // max(classes, 1),) * classes
        uses = usable_classes(counts)
        return cls(info=info, fewest=min(counts) if uses else info.train_images, uses_classes=uses)

    @property
    def side(self) -> int:
        """The shorter one, in pixels."""
        return min(self.info.shape.height, self.info.shape.width)


def usable_classes(counts: Sequence[int]) -> bool:
    """Whether classes can be learned: there are several, and each has enough images."""
    return 1 < len(counts) <= _MOST_CLASSES and min(counts) >= FEWEST_OF_CLASS


def drifting(images: Images, *, passes: int | None = None) -> dict[str, Any]:
    """Sets as large as the smallest class allows; kernels by the size of images.

    Args:
        passes: over the images by which features are learned; None for as many as are of use.
    """
    rows = 1 << (
        max(2, min(64 if not images.uses_classes else 32, images.fewest // 4)).bit_length() - 1
    )
    real = max(1, min(_MOST_REAL, images.fewest - rows))
    sets = {"use": "drifting", "rows": rows, "real": real}
    if images.side < _MEDIUM:
        return sets
    learned = {"features": {"use": "learned", "epochs": passes or learning_passes(images)}}
    if images.info.shape.channels == 1:
        kernels = {"pixels": 0.2, "pixel_windows": [2], "patches": 0.1, "patch_sizes": [5],
                   "random": 0.0, "statistics": 0.2, "features_weight": 0.5}  # fmt: skip
    else:
        kernels = {"temperatures": [0.02, 0.05, 0.2], "pixels": 0.1, "pixel_windows": [4],
                   "patches": 0.05, "random": 0.0, "statistics": 0.1,
                   "features_weight": 0.75}  # fmt: skip
    return {**sets, **kernels, **learned}


def backbone(images: Images, *, needs: ObjectiveInfo, wider: float = 1.0) -> dict[str, Any]:
    """A U-Net whose lowest maps are a few pixels wide; for noise alone, only its second half.

    Args:
        wider: by how much than for one core of a CPU.

    Raises:
        DataError: if the images cannot be halved as often as it takes.
    """
    shape = images.info.shape
    halvings = min((n & -n).bit_length() - 1 for n in (shape.height, shape.width))
    classes = {"classes": True} if images.uses_classes else {}
    if _from_noise_alone(images, needs):
        most = images.side.bit_length() - _SMALLEST_MAP.bit_length()
        stages = _halved(images, min(halvings, most)) + 1
        widths = [_width(16 << stage, wider) for stage in reversed(range(stages))]
        return {"use": "decoder", "widths": widths, **classes}
    if images.side >= _LARGE:
        channels, multipliers = 32, [1, 2, 2, 2]
    elif images.side >= _MEDIUM:
        channels, multipliers = (16 if shape.channels == 1 else 32), [1, 2, 4]
    else:
        channels, multipliers = 32, [1, 2]
    multipliers = multipliers[: _halved(images, min(halvings, len(multipliers) - 1)) + 1]
    heights = [shape.height >> stage for stage in range(len(multipliers))]
    table: dict[str, Any] = {
        "use": "adm",
        "channels": _width(channels, wider),
        "multipliers": multipliers,
        "blocks": 1,
        "attention": [height for height in heights[1:] if height <= _MEDIUM][-2:] or heights[-1:],
    }
    if needs.estimate != "estimate":
        table["estimate"] = "none" if needs.estimate == "none" else "concatenation"
    if needs.second_time:
        table["second_time"] = True
    return table | classes


def _from_noise_alone(images: Images, needs: ObjectiveInfo) -> bool:
    """Whether a network that looks at no image is enough."""
    return images.side >= _MEDIUM and needs.times == "last" and needs.estimate == "none"


def _width(channels: int, wider: float) -> int:
    return max(_NARROWEST, min(_WIDEST, round(channels * wider)))


def _halved(images: Images, halvings: int) -> int:
    """So many halvings, unless they leave maps that are too large.

    Raises:
        DataError: then.
    """
    shape = images.info.shape
    if images.side >= _MEDIUM and shape.height >> halvings > _MEDIUM:
        raise DataError(
            f"images of {shape.height}×{shape.width} pixels cannot be halved often enough",
            where="the size of the images",
            remedy="crop and resize them, for example to 32 pixels (--size 32 of `dddm init`, "
            "data.size in a recipe), or write [backbone]",
        )
    return halvings


def batch_images(images: Images, *, needs: ObjectiveInfo) -> int:
    """Whole sets, or a power of two."""
    count = images.info.train_images
    if needs.sets is not None:
        rows = needs.sets.rows
        return rows * max(1, min(_SETS_OF_IMAGES, count) // rows)
    return 1 << (max(1, min(MOST_BATCH, count)).bit_length() - 1)


def pseudo_huber(images: Images) -> dict[str, Any]:
    """With iCT's c = 0.00054 √(C·H·W)."""
    c = float(f"{0.00054 * math.sqrt(images.info.shape.values):.2g}")
    return {"use": "pseudo-huber", "c": c}


def learning_rate(images: Images, *, needs: ObjectiveInfo) -> dict[str, Any]:
    """Falls to a quarter near the end."""
    rate = 1e-3 if images.side >= _LARGE and not _from_noise_alone(images, needs) else 2e-3
    return {"use": "steps", "rate": rate, "drops": [0.7], "factor": 0.25}


def train(
    images: Images, *, needs: ObjectiveInfo, steps: int = _STEPS, pictures: int = _PICTURES
) -> dict[str, Any]:
    """A first impression by default; ten checkpoints, and as many grids or more."""
    batch = batch_images(images, needs=needs)
    epochs = steps * batch / max(images.info.train_images, 1)
    every = max(1, round(epochs / _PICTURES))
    return {
        "steps": steps,
        "batch_images": batch,
        "gradient_clip": 5.0,
        "ema_warmup": True,
        "checkpoint_every_epochs": every,
        "sample_every_epochs": max(1, int(epochs / pictures)),
        "diagnose_every_epochs": every,
    }


def sampler(needs: ObjectiveInfo) -> dict[str, Any]:
    """For an objective that names none."""
    one_step = needs.times == "last" or needs.estimate == "estimate"
    table = {"use": "fixed-time", "steps": [1]} if one_step else {"use": "ddim", "steps": [10]}
    return {**table, "images": 500}


def features(*, data: Mapping[str, Any]) -> str:
    """What scores compare in: what no objective was trained in, and needs no file of weights.

    Args:
        data: the table `[data]`.
    """
    digits = str(data.get("use")).removeprefix("dddm:") == "digits"
    return "digits-classifier" if digits else "random-convolutions"


def learning_passes(images: Images) -> int:
    """Over the images by which features are learned; fewer images are seen more often."""
    return max(5, min(200, _LEARNED_IMAGES // max(images.info.train_images, 1)))
