"""The components that can be used, and the status of every plugin."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, final

from attrs import frozen

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.registry.component import Component
from dddm.registry.registrar import namespace_of


@final
@frozen(kw_only=True)
class PluginStatus:
    """What became of one entry point.

    Attributes:
        error: why it failed to load; None where it was loaded or disabled.
        disabled: whether the user disabled it.
        seconds: how long loading it took.
        imports_torch: whether loading it imported torch, which takes seconds.
    """

    name: str
    package: str
    version: str
    error: PluginError | None = None
    disabled: bool = False
    seconds: float = 0.0
    imports_torch: bool = False

    @property
    def title(self) -> str:
        """Its name and package, as messages name it."""
        return f"{self.name} of {self.package} {self.version}"

    @property
    def status(self) -> str:
        """`loaded`, `failed` or `disabled`."""
        if self.disabled:
            return "disabled"
        return "failed" if self.error is not None else "loaded"

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {
            "name": self.name,
            "package": self.package,
            "version": self.version,
            "status": self.status,
            "reason": None if self.error is None else str(self.error),
            "imports_torch": self.imports_torch,
            "load_ms": round(self.seconds * 1000, 2),
        }


@final
class Catalogue:
    """Components by kind and name."""

    def __init__(
        self, components: Iterable[Component], *, plugins: Iterable[PluginStatus] = ()
    ) -> None:
        self._components = tuple(sorted(components, key=lambda c: (c.kind.value, c.id)))
        self.plugins = tuple(sorted(plugins, key=lambda p: p.name))

    @property
    def failed(self) -> Mapping[str, PluginError]:
        """Plugins that failed to load, with the reason."""
        return {p.name: p.error for p in self.plugins if p.error is not None}

    def components(self, kind: Kind | None = None) -> tuple[Component, ...]:
        """All components, or those of one kind, in order of kind and id."""
        return tuple(c for c in self._components if kind is None or c.kind is kind)

    def find(self, kind: Kind, name: str) -> Component:
        """The component called `name`: a full id, or a bare name that is unique in its kind.

        Raises:
            PluginError: if there is none, or several; with the nearest names or the candidates.
        """
        found = [c for c in self.components(kind) if name in {c.id, c.name}]
        if len(found) == 1:
            return found[0]
        if found:
            raise PluginError(
                f"{name!r} is the name of several {kind.value} components",
                remedy="write one of " + ", ".join(c.id for c in found),
            )
        raise self._unknown(kind, name)

    def named(self, name: str) -> tuple[Component, ...]:
        """Every component, of whatever kind, whose id or bare name is `name`: at least one.

        Raises:
            PluginError: if there is none; with the nearest names.
        """
        found = tuple(c for c in self._components if name in {c.id, c.name})
        if not found:
            raise self._unknown(None, name)
        return found

    def _unknown(self, kind: Kind | None, name: str) -> PluginError:
        word = "component" if kind is None else kind.value
        what = f"there is no {word} called {name!r}"
        # A name without a colon may be that of a plugin which is not in use.
        meant = {name.partition(":")[0], name}
        for plugin in self.plugins:
            if not meant & {plugin.name, namespace_of(plugin.name)}:
                continue
            if plugin.error is not None:
                return PluginError(
                    f"{what}, because the plugin {plugin.name} failed to load: {plugin.error.what}",
                    where=plugin.error.where,
                    remedy=plugin.error.remedy,
                )
            if plugin.disabled:
                return PluginError(
                    f"{what}, because the plugin {plugin.name} is disabled",
                    remedy=f"remove -p no:{plugin.name}, and unset DDDM_DISABLE_PLUGINS",
                )
        here = self.components(kind)
        near = difflib.get_close_matches(name, [c.name for c in here] + [c.id for c in here], n=3)
        if near:
            remedy = "did you mean " + " or ".join(near) + "?"
        elif kind is None:
            remedy = "install its package; `dddm plugins` lists what is installed"
        elif here:
            remedy = "choose among " + ", ".join(dict.fromkeys(c.name for c in here))
        else:
            remedy = f"install a plugin that has a {word}; see `dddm plugins`"
        idle = [f"{p.name} {p.status}" for p in self.plugins if p.status != "loaded"]
        if idle:
            remedy += "  (" + ", ".join(idle) + ")"
        return PluginError(what, remedy=remedy)
