"""How a public name that has changed is still known for a while.  Imports no torch.

A module in which a name was changed says so at its end:

    __getattr__ = changed_names(__name__, {"Old": ChangedName(instead="New", gone_in="0.4")})

Whoever uses the old name is given what stands in its place, with a `DeprecationWarning` that names
both the new one and the release in which the old one goes.
"""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, final

from attrs import frozen


@final
@frozen(kw_only=True)
class ChangedName:
    """What became of a name.

    Attributes:
        instead: the new name, in the same module, or `module:name` in another one.
        gone_in: the release of dddm that no longer knows the old name.
    """

    instead: str
    gone_in: str


def changed_names(module: str, names: Mapping[str, ChangedName]) -> Callable[[str], Any]:
    """The `__getattr__` of a module some of whose names have changed."""

    def __getattr__(name: str) -> Any:  # noqa: N807 - what a module's function must be called
        changed = names.get(name)
        if changed is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        at, _, instead = changed.instead.rpartition(":")
        warnings.warn(
            f"{module}.{name} is deprecated: use {at or module}.{instead}; "
            f"dddm {changed.gone_in} no longer has it",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(at or module), instead)

    return __getattr__
