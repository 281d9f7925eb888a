"""Creates components, and finds out which plugin an exception comes from."""

import re
import traceback
from collections.abc import Iterator
from typing import Any, Final

from dddm.errors import PluginError
from dddm.registry.component import Component
from dddm.registry.tracebacks import line_in_package, summarize, top_package

_third_party: Final[dict[str, Component]] = {}
"""Components of other packages that this process has created, by kind and id."""


def is_builtin(component: Component) -> bool:
    """Whether it comes with dddm."""
    return component.package == "dddm"


def instantiate(component: Component, options: Any, **more: Any) -> Any:
    """Import what a component registered and call it: `target(options, **more)`.

    Raises:
        PluginError: if it cannot be imported, or does not take these arguments.
    """
    if not is_builtin(component):
        _third_party[f"{component.kind.value} {component.id}"] = component
    target = component.load()
    try:
        return target(options, **more)
    except TypeError as error:
        in_our_call = error.__traceback__ is not None and error.__traceback__.tb_next is None
        if is_builtin(component) or not in_our_call:
            raise
        raise PluginError(
            f"the {component.kind.value} {component.id} cannot be created: {summarize(error)}",
            where=component.place,
            remedy=f"dddm plugin test {component.id}",
        ) from error


def attribute_error(error: BaseException) -> PluginError | None:
    """The plugin's error that an exception is; None where it comes from no plugin's code.

    It is a plugin's if a function of the plugin's package is on the traceback, or if one could not
    be called with the arguments of its interface.
    """
    for name, function in _calls(error):
        candidates = [c for c in _third_party.values() if top_package(c.target) == name]
        if not candidates:
            continue
        qualified = f"{function}."
        component = next(
            (c for c in candidates if qualified.startswith(f"{c.target.partition(':')[2]}.")),
            candidates[0],
        )
        place = line_in_package(error, name)
        return PluginError(
            f"the {component.kind.value} {component.id} failed in "
            f"{function.rpartition('.')[2]}: {summarize(error)}",
            where=component.place
            if place is None
            else f"{place}, {component.package} {component.version}",
            remedy=f"dddm plugin test {component.id}",
        )
    return None


def _calls(error: BaseException) -> Iterator[tuple[str, str]]:
    """Top package and qualified name of the functions on a traceback, the innermost first.

    Before them comes a method that could not be called, which Python names in the message alone:
    `Mixer.forward() got an unexpected keyword argument 'estimate'`.
    """
    uncalled = re.match(r"(\w+)\.\w+(?=\(\) )", str(error))
    if isinstance(error, TypeError) and uncalled is not None:
        for component in _third_party.values():
            if component.target.partition(":")[2] == uncalled[1]:
                yield top_package(component.target), uncalled[0]
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        yield top_package(frame.f_globals.get("__name__", "")), frame.f_code.co_qualname
