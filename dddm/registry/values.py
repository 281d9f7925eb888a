"""Whether a value is what an option's annotation and bounds allow."""

import math
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: Any, annotation: Any) -> bool:
    """Whether an option so annotated may have this value; a float may be a whole number too."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return any(fits(value, part) for part in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(item, inner[0]) for item in value)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if annotation is float:
        return type(value) in {int, float} and math.isfinite(value)
    return type(value) is annotation


def broken_bound(value: Any, bounds: Mapping[str, float]) -> str | None:
    """Which bound a number, or an item of a tuple, is beyond, in words; None where it is none."""
    if value is None:
        return None
    if isinstance(value, tuple):
        broken = (broken_bound(item, bounds) for item in value)
        return next((words for words in broken if words is not None), None)
    for name, bound in bounds.items():
        inside = {
            "at_least": value >= bound,
            "above": value > bound,
            "at_most": value <= bound,
            "below": value < bound,
        }[name]
        if not inside:
            return f"{value:g} is not {name.replace('_', ' ')} {bound:g}"
    return None
