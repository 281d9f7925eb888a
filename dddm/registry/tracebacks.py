"""What an exception says, in one line, and where in a package's code it was raised."""

import inspect
import traceback
from collections.abc import Iterable


def summarize(error: BaseException) -> str:
    """`ValueError: no luck`, with the exceptions that caused it."""
    line = " ".join(traceback.format_exception_only(error)[-1].split())
    cause = error.__cause__
    return line if cause is None else f"{line} (caused by {summarize(cause)})"


def line_in_package(error: BaseException, package: str | None) -> str | None:
    """`file:line` of the innermost frame of a top-level package; None where there is none.

    Args:
        package: None for any but dddm.
    """
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = top_package(frame.f_globals.get("__name__", ""))
        if name == package or (package is None and name != "dddm"):
            found = f"{frame.f_code.co_filename}:{line}"
    return found


def line_of_method(cls: object, names: Iterable[str]) -> str | None:
    """`file:line` of the first of these methods that a class defines, or else of the class."""
    own = [found for name in names if (found := inspect.getattr_static(cls, name, None))]
    for found in (*own, cls):
        bare = getattr(found, "fget", None) or getattr(found, "__func__", found)
        try:
            source = inspect.unwrap(bare)
            return f"{inspect.getsourcefile(source)}:{inspect.getsourcelines(source)[1]}"
        except (OSError, TypeError):
            continue
    return None


def top_package(name: str) -> str:
    """`dddm_toy` of a module `dddm_toy.metric`, or of a target `dddm_toy.metric:Toy`."""
    return name.partition(":")[0].partition(".")[0]
