"""What went wrong in a plugin: in one line, and where."""

import importlib
import importlib.util
import os
import traceback
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pluggy

_OURS: Final = (
    *(
        f"{folder}{os.sep}"
        for folder in (
            Path(__file__).parents[1],
            Path(str(importlib.__file__)).parent,
            Path(pluggy.__file__).parent,
        )
    ),
    str(typing.__file__),
)
"""Code that calls plugins or reads their annotations, and so stands on their tracebacks."""


def in_words(error: BaseException) -> str:
    """The last line of its traceback, and that of what caused it."""
    words = " ".join(traceback.format_exception_only(error)[-1].split())
    cause = error.__cause__
    return words if cause is None else f"{words} (caused by {in_words(cause)})"


def place_of(error: BaseException, *, within: Sequence[str] = ()) -> str | None:
    """File and line of the plugin's code that raised it; None where none is on the traceback.

    Args:
        within: what `places_of` says of it; without any, all code that is not ours is the plugin's.
    """
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if is_within(file, within) if within else not file.startswith(("<", *_OURS)):
            return f"{file}:{frame.lineno}"
    return None


def places_of(target: str) -> tuple[str, ...]:
    """Files and folders, which end with a separator, of the package that a target lies in."""
    try:
        spec = importlib.util.find_spec(target.partition(":")[0].partition(".")[0])
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(f"{folder}{os.sep}" for folder in spec.submodule_search_locations)
    return () if spec.origin is None else (spec.origin,)


def is_within(file: str, places: Sequence[str]) -> bool:
    """Whether a file is one of these, or lies in one."""
    return any(file.startswith(one) if one.endswith(os.sep) else file == one for one in places)
