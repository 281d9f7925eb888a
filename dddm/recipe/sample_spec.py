"""Which samples are wanted: one object from command line, recipe or Python to the generator."""

import math
from typing import Final, final

from attrs import field, frozen

from dddm.errors import UsageError
from dddm.recipe.model import SampleJob, Use

BLOCK_IMAGES: Final = 64
"""Images computed together.  Another number changes the last bits of a sample."""


def _sorted_once(steps: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(steps)))


@final
@frozen(kw_only=True)
class SampleSpec:
    """Images 0…images-1 of a seed, by one sampler at some step counts.

    Attributes:
        steps: step counts, ascending, each once, at least 1.
        seed: of all noise.
        labels: names or numbers of classes that images take in turn; None takes all in turn.
        separate: whether each image is also written as a PNG of its own.
        block_images: how many images are computed together.

    Raises:
        UsageError: for a number that is too small.
    """

    sampler: Use
    steps: tuple[int, ...] = field(converter=_sorted_once)
    images: int
    seed: int
    labels: tuple[str, ...] | None = None
    separate: bool = False
    block_images: int = BLOCK_IMAGES

    def __attrs_post_init__(self) -> None:
        for name, value, least in (
            ("images", self.images, 1),
            ("steps", self.steps[0], 1),
            ("seed", self.seed, 0),
            ("block_images", self.block_images, 1),
        ):
            if value < least:
                raise UsageError(f"{name} is {value}; it must be at least {least}", where=name)

    @classmethod
    def of_job(cls, job: SampleJob) -> "SampleSpec":
        """What a `[[sample]]` table asks for."""
        settings = job.settings
        return cls(
            sampler=job.sampler, steps=settings.steps, images=settings.images, seed=settings.seed
        )

    @property
    def name(self) -> str:
        """Of the sampler, without its namespace."""
        return self.sampler.component.name

    @property
    def blocks(self) -> int:
        """How many blocks there are; the last may hold more images than are wanted."""
        return math.ceil(self.images / self.block_images)
