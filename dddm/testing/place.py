"""Where in a component's own code something happened: neither in torch nor in dddm."""

import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from dddm.registry.component import Component


def place_in(component: Component, error: BaseException) -> str | None:
    """File and line to look at.

    The last line of the component's package on the traceback of the error, or of what caused it;
    else where its class begins; None where that has no source.
    """
    own = _files_of(component)
    for one in _and_causes(error):
        if isinstance(one, SyntaxError) and one.filename is not None:
            return f"{one.filename}:{one.lineno}"
        for frame in reversed(traceback.extract_tb(one.__traceback__)):
            if frame.filename.startswith(own):
                return f"{frame.filename}:{frame.lineno}"
    try:
        return beginning_of(component.load())
    except Exception:  # noqa: BLE001 - what cannot be imported has told its error already
        return None


def beginning_of(what: Any) -> str | None:
    """File and line of a class or a function; None where there is no source."""
    try:
        _, line = inspect.getsourcelines(what)
    except (OSError, TypeError):
        return None
    return f"{inspect.getsourcefile(what)}:{line}"


def _files_of(component: Component) -> tuple[str, ...]:
    """Folders of the top package of its target, or the file if it is a module; () if not there."""
    name, _, _ = component.target.partition(":")
    top = sys.modules.get(name.partition(".")[0])
    folders = tuple(f"{folder}{os.sep}" for folder in getattr(top, "__path__", ()))
    file = getattr(top, "__file__", None)
    return folders or (() if file is None else (file,))


def _and_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
