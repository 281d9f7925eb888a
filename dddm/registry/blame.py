"""What went wrong in a plugin: in one line, and where."""

import importlib
import os
import traceback
import typing
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


def place_of(error: BaseException) -> str | None:
    """File and line of the plugin's code that raised it; None where none is on the traceback."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(("<", *_OURS)):
            return f"{frame.filename}:{frame.lineno}"
    return None
