"""Toys with one mistake each: a correct toy, and methods that replace some of its own."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import pytest
from attrs import field, frozen

from dddm.interfaces.plugin import Kind
from dddm.registry.catalogue import Catalogue
from dddm.registry.registrar import PluginRegistrar
from dddm.testing.conformance import Trial, trials_of

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def outcome_of(trial: Trial) -> str:
    """`passed`, `skipped: …` or `failed: …`."""
    try:
        trial()
    except pytest.skip.Exception as reason:
        return f"skipped: {reason}"
    except Exception as error:  # noqa: BLE001 - a component may raise anything
        return f"failed: {error!r}"
    return "passed"


@final
@frozen
class Change:
    """A method made of the correct toy's method."""

    wrap: Wrap


def then(change: Callable[[Any], Any]) -> Change:
    """The correct method, whose result is changed."""
    return Change(lambda right: lambda *a, **k: change(right(*a, **k)))


def first(act: Callable[..., Any]) -> Change:
    """The correct method, after something else is done with the same arguments."""

    def wrap(right: Callable[..., Any]) -> Callable[..., Any]:
        def method(*args: Any, **named: Any) -> Any:
            act(*args, **named)
            return right(*args, **named)

        return method

    return Change(wrap)


def given(**changes: Callable[[Any], Any]) -> Change:
    """The correct method, whose arguments are changed."""

    def wrap(right: Callable[..., Any]) -> Callable[..., Any]:
        def method(*args: Any, **named: Any) -> Any:
            bound = inspect.signature(right).bind(*args, **named)
            for name, change in changes.items():
                bound.arguments[name] = change(bound.arguments[name])
            return right(*bound.args, **bound.kwargs)

        return method

    return Change(wrap)


def mutated(
    base: type[Any],
    *,
    name: str = "Mutated",
    setup: Callable[[Any], Any] | None = None,
    **methods: Any,
) -> type[Any]:
    """A final subclass with other methods or attributes.

    Args:
        setup: called with each instance after the correct `__init__`.
    """
    if setup is not None:
        act = setup

        def built(self: Any, *args: Any, **named: Any) -> None:
            base.__init__(self, *args, **named)
            act(self)

        methods["__init__"] = functools.wraps(base.__init__)(built)
    for key, value in methods.items():
        if isinstance(value, Change):
            right = getattr(base, key)
            methods[key] = functools.wraps(right)(value.wrap(right))
    meta: Any = type(base)
    cls: type[Any] = meta(name, (base,), {"__module__": base.__module__, **methods})
    return final(cls)


@final
@frozen(kw_only=True)
class Bug:
    """A toy with a mistake.

    Attributes:
        target: its class, in its module under its name.
        caught_by: names of all checks that fail; none for a correct toy.
        registration: what `Registrar.add` is told beside name, target and summary.
    """

    kind: Kind
    name: str
    target: type[Any]
    caught_by: frozenset[str] = frozenset()
    registration: Mapping[str, Any] = field(factory=dict)

    @property
    def on_device(self) -> bool:
        """Whether it needs a GPU to be seen."""
        return f"{self.kind.value}.devices" in self.caught_by

    def outcomes(self, checks: Iterable[str] | None = None) -> dict[str, str]:
        """What came of each check, or of these."""
        toys = PluginRegistrar(plugin="toy", package="toys-without-entry-point", version="1")
        target = f"{self.target.__module__}:{self.target.__name__}"
        more = {"summary": "A toy for the conformance kit.", **self.registration}
        toys.add(self.kind, self.name, target=target, **more)
        trials = trials_of(f"toy:{self.name}", checks=checks, catalogue=Catalogue(toys.components))
        found: dict[str, str] = {}
        for trial in trials:
            outcome = outcome_of(trial)
            if not found.get(trial.check.name, "").startswith("failed"):
                found[trial.check.name] = outcome
        return found


@final
@frozen
class Planter:
    """Makes toys of one kind.

    Attributes:
        base: the correct toy.
        registration: of every toy.
    """

    kind: Kind
    base: type[Any]
    registration: Mapping[str, Any] = field(factory=dict)

    def __call__(
        self,
        name: str,
        caught_by: str = "",
        *,
        base: type[Any] | None = None,
        register: Mapping[str, Any] | None = None,
        **methods: Any,
    ) -> Bug:
        """A mutated toy.

        Args:
            caught_by: names of checks with spaces between, the kind's prefix left out.
            base: another correct toy; a final class is taken as it is.
            register: more of the registration.
        """
        base = base or self.base
        target = base
        if not getattr(base, "__final__", False):
            words = f"{name}-{self.kind.value}".split("-")
            target = mutated(base, name="".join(map(str.capitalize, words)), **methods)
            setattr(sys.modules[base.__module__], target.__name__, target)
        checks = (c if "." in c else f"{self.kind.value}.{c}" for c in caught_by.split())
        return Bug(
            kind=self.kind,
            name=name,
            target=target,
            caught_by=frozenset(checks),
            registration={**self.registration, **(register or {})},
        )
