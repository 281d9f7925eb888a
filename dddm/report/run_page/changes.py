"""How far estimates moved in single steps, as the manifest of samples notes it."""

import math
from typing import Any, final

from attrs import frozen

from dddm.generate.sample_files import Samples


@final
@frozen(kw_only=True)
class Change:
    """Root of the mean square of x̂'s change in one step, its values in [-1, 1].

    Attributes:
        steps: the steps that are noted, from 1, rising.
        median: over the images, one for each of them.
        largest: over the images, one for each of them.
    """

    steps: tuple[int, ...]
    median: tuple[float, ...]
    largest: tuple[float, ...]


def change_of(samples: Samples) -> Change | None:
    """What the manifest notes; None where it notes nothing, or nothing that can be read."""
    noted: Any = samples.facts.get("change_of_estimate")
    if not isinstance(noted, dict):
        return None
    steps, median, largest = (_numbers(noted.get(name)) for name in ("steps", "median", "largest"))
    rising = all(before < after for before, after in zip((0.0, *steps), steps, strict=False))
    if not steps or not rising or not len(steps) == len(median) == len(largest):
        return None
    return Change(steps=tuple(map(int, steps)), median=median, largest=largest)


def _numbers(values: object) -> tuple[float, ...]:
    """Finite numbers of at least 0; empty where anything else is among them."""
    found = values if isinstance(values, list) else []
    usable = all(type(v) in {int, float} and math.isfinite(v) and v >= 0 for v in found)
    return tuple(map(float, found)) if usable else ()
