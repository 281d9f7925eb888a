"""Whose error it is: that of a component of another package, or ours.

Nothing is caught while components work.  Where an error ends, the frames of its traceback say
whose code raised it; and where a component could not be called as its interface says, so that
none of its own code ran, it is told by what was called.
"""

import re
import traceback
from collections.abc import Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, Final, final

from attrs import frozen

from dddm.errors import PluginError
from dddm.registry.blame import in_words, is_within, places_of
from dddm.registry.component import Component

_OURS: Final = "dddm"
"""The distribution whose errors are defects of ours."""
_CALLED: Final = re.compile(r"(\S+)\(\) ")
"""How Python begins what is wrong with a call: with the function's qualified name."""

_made: Final[dict[str, tuple[Component, type[Any] | None]]] = {}
"""Components of other packages that this process has asked for, by kind and id, and their class."""


def is_builtin(component: Component) -> bool:
    """Whether it comes with dddm."""
    return component.package == _OURS


def instantiate(component: Component, options: Any, **more: Any) -> Any:
    """Import what a component registered and call it: `target(options, **more)`.

    Raises:
        PluginError: if it cannot be imported.
    """
    key = f"{component.kind.value} {component.id}"
    if not is_builtin(component):
        _made.setdefault(key, (component, None))
    made = component.load()(options, **more)
    if not is_builtin(component):
        _made[key] = (component, type(made))
    return made


@final
@frozen(kw_only=True)
class Blame:
    """An error of another package's component.

    Attributes:
        error: what went wrong, where, and how its author finds out more.
        lines: the traceback from where its code was entered; empty where none of it ran.
    """

    error: PluginError
    lines: str


def blame(error: BaseException) -> Blame | None:
    """Whose component raised it; None if none of another package did."""
    frames = list(traceback.walk_tb(error.__traceback__))
    theirs = [
        number for number, (frame, _) in enumerate(frames) if _owners(frame.f_code.co_filename)
    ]
    if not theirs:
        return _blame_for_call(error, frames)
    deepest, line = frames[theirs[-1]]
    file = deepest.f_code.co_filename
    component = _owner([frame for frame, _ in frames], _owners(file))
    entered = next(n for n in theirs if component in _owners(frames[n][0].f_code.co_filename))
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(told.stack[entered:])
    return Blame(
        error=_plugin_error(
            component,
            error,
            when=f"failed in {frames[entered][0].f_code.co_name}",
            where=f"{file}:{line}, {component.package} {component.version}",
        ),
        lines="".join(told.format()),
    )


def _owners(file: str) -> list[Component]:
    """Components whose package this file is of."""
    return [one for one, _ in _made.values() if is_within(file, places_of(one.target))]


def _owner(frames: Sequence[FrameType], among: Sequence[Component]) -> Component:
    """Which of a package's components was at work: the innermost that the frames know of."""
    for frame in reversed(frames):
        if frame.f_code is instantiate.__code__ and frame.f_locals["component"] in among:
            made: Component = frame.f_locals["component"]
            return made
        for one, of_class in _made.values():
            if one in among and of_class is type(frame.f_locals.get("self")):
                return one
    return among[0]


def _blame_for_call(error: BaseException, frames: Sequence[tuple[FrameType, int]]) -> Blame | None:
    """Of an error on whose traceback no other package's code stands."""
    ours = [frame for frame, _ in frames if not frame.f_code.co_filename.startswith("<")]
    if ours and ours[-1].f_code is instantiate.__code__:
        component: Component = ours[-1].f_locals["component"]
        if is_builtin(component):
            return None
        found = _plugin_error(component, error, when="cannot be made", where=component.place)
        return Blame(error=found, lines="")
    if isinstance(error, TypeError) and (match := _CALLED.match(str(error))):
        for component, code in _codes(match[1]):
            where = f"{code.co_filename}:{code.co_firstlineno}, {component.package}"
            name = code.co_name
            found = _plugin_error(
                component,
                error,
                when=f"cannot be called as its interface says, in {name}",
                where=f"{where} {component.version}",
            )
            return Blame(error=found, lines="")
    return None


def _codes(qualified_name: str) -> Iterator[tuple[Component, CodeType]]:
    """Methods of that name which classes of other packages' components have of their own."""
    name = qualified_name.rpartition(".")[2]
    for component, of_class in _made.values():
        method = getattr(of_class, name, None)
        code = getattr(method, "__code__", None)
        if (
            isinstance(code, CodeType)
            and code.co_qualname == qualified_name
            and is_within(code.co_filename, places_of(component.target))
        ):
            yield component, code


def _plugin_error(
    component: Component, error: BaseException, *, when: str, where: str
) -> PluginError:
    return PluginError(
        f"the {component.kind.value} {component.id} {when}: {in_words(error)}",
        where=where,
        remedy=f"dddm plugin test {component.id}",
    )
