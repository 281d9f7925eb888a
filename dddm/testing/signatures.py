"""Whether the methods of a class can be called as its interface says."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

from dddm.testing.place import beginning_of

_POSITIONAL: Final = {
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
}


def wrong_signatures(of: type[Any], *, interface: type[Any]) -> Iterator[str]:
    """What is wrong with each method that cannot be called so, with its place.

    More arguments with defaults, and `**others`, are no harm.
    """
    for name, promised in vars(interface).items():
        mine = inspect.getattr_static(of, name, promised)
        if name.startswith("_") or not inspect.isfunction(promised) or mine is promised:
            continue
        called = inspect.signature(promised)
        bound: tuple[None, ...] = (None,)
        if isinstance(mine, staticmethod | classmethod):
            mine, bound = getattr(of, name), ()
        if not inspect.isroutine(mine):
            continue
        if not _takes(mine, bound, called):
            theirs = _in_words(inspect.signature(mine), without_self=bool(bound))
            place = beginning_of(inspect.unwrap(mine))
            yield (
                f"{name} is called as {name}{_in_words(called, without_self=True)}; yours takes "
                f"{theirs}" + ("" if place is None else f" ({place})")
            )


def _takes(function: Callable[..., Any], bound: tuple[None, ...], called: Any) -> bool:
    """Whether it takes all that a call may give, and no less than a call must give."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return True
    _, *given = called.parameters.values()
    for some in (given, [one for one in given if one.default is one.empty]):
        positional = [None for one in some if one.kind in _POSITIONAL]
        named = {one.name: None for one in some if one.kind is one.KEYWORD_ONLY}
        try:
            signature.bind(*bound, *positional, **named)
        except TypeError:
            return False
    return True


def _in_words(signature: inspect.Signature, *, without_self: bool) -> str:
    """Names and defaults."""
    bare = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    shown = bare[1:] if without_self else bare
    return str(signature.replace(parameters=shown, return_annotation=signature.empty))
