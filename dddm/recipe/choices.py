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
_SETS_OF_IMAGES: Final = 128
_MOST_REAL: Final = 128
MOST_BATCH: Final = 64
_LEARNED_IMAGES: Final = 250_000
"""Images that features are learned on, in all passes together."""
_SMALLEST_LEARNED: Final = 8
_STEPS: Final = 2000


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


def drifting(images: Images) -> dict[str, Any]:
    """Sets as large as the smallest class allows; kernels by the size of images."""
    rows = 1 << (
        max(2, min(64 if not images.uses_classes else 32, images.fewest // 4)).bit_length() - 1
    )
    real = max(1, min(_MOST_REAL, images.fewest - rows))
    sets = {"use": "drifting", "rows": rows, "real": real}
    if images.side < _MEDIUM:
        return sets
    learned = {"features": learned_features(images)}
    if images.info.shape.channels == 1:
        kernels = {"pixels": 0.2, "pixel_windows": [2], "patches": 0.1, "patch_sizes": [5],
                   "random": 0.0, "statistics": 0.2, "features_weight": 0.5}  # fmt: skip
    else:
        kernels = {"temperatures": [0.02, 0.05, 0.2], "pixels": 0.1, "pixel_windows": [4],
                   "patches": 0.05, "random": 0.0, "statistics": 0.1,
                   "features_weight": 0.75}  # fmt: skip
    return {**sets, **kernels, **learned}


def backbone(images: Images, *, needs: ObjectiveInfo) -> dict[str, Any]:
    """A U-Net whose lowest maps are a few pixels wide.

    Raises:
        DataError: if the images cannot be halved as often as it takes.
    """
    shape = images.info.shape
    halvings = min((n & -n).bit_length() - 1 for n in (shape.height, shape.width))
    if images.side >= _LARGE:
        channels, multipliers = 32, [1, 2, 2, 2]
    elif images.side >= _MEDIUM:
        channels, multipliers = (16 if shape.channels == 1 else 32), [1, 2, 4]
    else:
        channels, multipliers = 32, [1, 2]
    multipliers = multipliers[: halvings + 1]
    heights = [shape.height >> stage for stage in range(len(multipliers))]
    if images.side >= _MEDIUM and heights[-1] > _MEDIUM:
        raise DataError(
            f"images of {shape.height}×{shape.width} pixels cannot be halved often enough",
            where="the size of the images",
            remedy="crop and resize them, for example to 32 pixels (--size 32 of `dddm init`, "
            "data.size in a recipe), or write [backbone]",
        )
    table: dict[str, Any] = {
        "use": "adm",
        "channels": channels,
        "multipliers": multipliers,
        "blocks": 1,
        "attention": [height for height in heights[1:] if height <= _MEDIUM][-2:] or heights[-1:],
    }
    if needs.estimate != "estimate":
        table["estimate"] = "none" if needs.estimate == "none" else "concatenation"
    if needs.second_time:
        table["second_time"] = True
    return table | ({"classes": True} if images.uses_classes else {})


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


def learning_rate(images: Images) -> dict[str, Any]:
    """Falls to a quarter near the end."""
    rate = 1e-3 if images.side >= _LARGE else 2e-3
    return {"use": "steps", "rate": rate, "drops": [0.7], "factor": 0.25}


def train(images: Images, *, needs: ObjectiveInfo, steps: int = _STEPS) -> dict[str, Any]:
    """A first impression by default; ten checkpoints, each with a grid."""
    batch = batch_images(images, needs=needs)
    every = max(1, round(steps * batch / max(images.info.train_images, 1) / 10))
    return {
        "steps": steps,
        "batch_images": batch,
        "gradient_clip": 5.0,
        "ema_warmup": True,
        "checkpoint_every_epochs": every,
        "sample_every_epochs": every,
        "diagnose_every_epochs": every,
    }


def sampler(needs: ObjectiveInfo) -> dict[str, Any]:
    """For an objective that names none."""
    one_step = needs.times == "last" or needs.estimate == "estimate"
    table = {"use": "fixed-time", "steps": [1]} if one_step else {"use": "ddim", "steps": [10]}
    return {**table, "images": 500}


def features(images: Images, *, data: Mapping[str, Any]) -> Any:
    """What scores compare in: what is learned on the images themselves, as far as it can be.

    Args:
        data: the table `[data]`.
    """
    if str(data.get("use")).removeprefix("dddm:") == "digits":
        return "digits-classifier"
    return "pixels" if images.side < _SMALLEST_LEARNED else learned_features(images)


def learned_features(images: Images) -> dict[str, Any]:
    """Features that are learned on these images; fewer images are seen more often."""
    passes = max(5, min(30, _LEARNED_IMAGES // max(images.info.train_images, 1)))
    return {"use": "learned", "epochs": passes}
